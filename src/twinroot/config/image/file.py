"""One file of an image configuration: read, decoded, checked, with the package lists it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from twinroot.config.checks import check
from twinroot.config.decode import MAX_PROBLEMS, decode
from twinroot.config.document import Document
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.packages import PackageChanges, PackageList, Packages
from twinroot.config.image.rules import IMAGE_RULES
from twinroot.config.image.users import PasswordType
from twinroot.config.problems import KeyPath
from twinroot.config.secrets import secrets_in, without_secrets
from twinroot.config.yaml import read_document
from twinroot.errors import ConfigError, InputError, Problem

_PACKAGES: KeyPath = ("os", "packages")
_LISTS = {"installLists": "install_lists", "removeLists": "remove_lists", "updateLists": "update_lists"}


@dataclass(frozen=True)
class ConfigFile:
    """One file. `packages` has the list files merged in. `config` is what is right where there are problems."""

    path: Path
    document: Document
    config: ImageConfig
    packages: PackageChanges

    def resolve(self, path: str) -> Path:
        """A path of the file: absolute paths as they are, others relative to its directory (spec section 7)."""
        return self.path.parent / path

    def refusal(self, key: KeyPath, message: str, hint: str | None = None) -> ConfigError:
        """What is wrong with the value at `key`, found out while it is carried out; no password is shown with it."""
        problem = self.document.problem(key, message, hint)
        return ConfigError([without_secrets(problem, secrets_in(self.document))])

    @contextmanager
    def blaming(self, key: KeyPath) -> Iterator[None]:
        """Turn an InputError into one that shows the value at `key`, unless it has a place already."""
        try:
            yield
        except ConfigError:
            raise
        except InputError as error:
            raise self.refusal(key, error.message, error.hint) from error


def read_file(path: Path) -> tuple[ConfigFile, list[Problem]]:
    """Read a file; ConfigError when it cannot be read or is not YAML, all other problems are returned."""
    document = read_document(path)
    decoded = decode(document, ImageConfig)
    problems = [*decoded.problems, *check(document, decoded, IMAGE_RULES)]
    if problems:
        secrets = secrets_in(document, get_args(PasswordType))
        problems = [without_secrets(problem, secrets) for problem in problems]
    config = decoded.model or ImageConfig()
    lists, list_problems = _read_lists(path, document, config.os.packages if config.os else Packages())
    return ConfigFile(path, document, config, _changes(config, lists)), [*problems, *list_problems]


def _read_lists(path: Path, document: Document, packages: Packages) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    """The packages of all list files, by the key that names the files, and the problems."""
    lists: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for key, attribute in _LISTS.items():
        names: list[str] = []
        for index, file in enumerate(getattr(packages, attribute)):
            if len(problems) >= MAX_PROBLEMS:
                break
            try:
                names += _read_list(path.parent / file)
            except ConfigError as error:
                problems += problems_of_other_file(document, (*_PACKAGES, key, index), "package list", error)
        lists[key] = tuple(names)
    return lists, problems


def _read_list(path: Path) -> tuple[str, ...]:
    document = read_document(path)
    decoded = decode(document, PackageList)
    if decoded.problems or decoded.model is None:
        raise ConfigError(decoded.problems)
    return decoded.model.packages


def problems_of_other_file(document: Document, key: KeyPath, kind: str, error: ConfigError) -> Iterator[Problem]:
    """Problems inside another file stand at their own place; one with it as a whole at the place that names it."""
    for problem in error.problems:
        if problem.line:
            yield problem
        else:
            yield document.problem(key, f"{kind} {problem.file}: {problem.message}", problem.hint)


def _changes(config: ImageConfig, lists: dict[str, tuple[str, ...]]) -> PackageChanges:
    packages = config.os.packages if config.os else Packages()
    return PackageChanges(
        update_existing=packages.update_existing_packages,
        install=lists["installLists"] + packages.install,
        remove=lists["removeLists"] + packages.remove,
        update=lists["updateLists"] + packages.update,
        snapshot_time=packages.snapshot_time,
    )
