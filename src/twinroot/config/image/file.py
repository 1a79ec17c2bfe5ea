"""One file of an image configuration: read, decoded, checked, with the package lists it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from twinroot.config.checks import at_place, check
from twinroot.config.decode import MAX_PROBLEMS, decode
from twinroot.config.document import Document
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.host_paths import HostPath, Kind, host_paths
from twinroot.config.image.packages import PackageChanges, PackageList, Packages
from twinroot.config.image.rules import IMAGE_RULES
from twinroot.config.image.users import PasswordType
from twinroot.config.image.warnings import IMAGE_WARNINGS, LIST_WARNINGS
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.secrets import secrets_in, without_secrets
from twinroot.config.yaml import read_document
from twinroot.errors import ConfigError, InputError, Problem


@dataclass(frozen=True)
class ConfigFile:
    """One file. Where there are problems, `config` is what is right: what is wrong is unreadable in it (`decode`).

    `paths` are those on the build host that it names, whatever is wrong around them. `package_lists` is what the list
    files hold, by the key below `os.packages` that names them. `warnings` are what is probably not meant, in the list
    files too.
    """

    path: Path
    document: Document
    config: ImageConfig
    paths: tuple[HostPath, ...]
    package_lists: Mapping[str, tuple[str, ...]]
    warnings: tuple[Problem, ...] = ()

    @property
    def packages(self) -> PackageChanges:
        """What `os.packages` comes to, of a file that is right."""
        packages = self.config.os.packages if self.config.os else Packages()
        return PackageChanges(
            update_existing=packages.update_existing_packages,
            install=self.package_lists.get("installLists", ()) + packages.install,
            remove=self.package_lists.get("removeLists", ()) + packages.remove,
            update=self.package_lists.get("updateLists", ()) + packages.update,
            snapshot_time=packages.snapshot_time,
        )

    def resolve(self, path: str) -> Path:
        """A path of the file: absolute paths as they are, others relative to its directory (spec section 7)."""
        return self.path.parent / path

    def placed(self, findings: Iterable[Finding]) -> list[Problem]:
        """Findings in the file as problems with their places; no password is shown with them."""
        return place_findings(self.document, findings)

    def refusal(self, key: KeyPath, message: str, hint: str | None = None) -> ConfigError:
        """What is wrong with the value at `key`, found out while it is carried out."""
        return ConfigError(self.placed([Finding(key, message, hint)]))

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
    """Read a file; ConfigError when it cannot be read or is not YAML, all other problems are returned.

    Package lists are read whatever is wrong in the file itself.
    """
    document = read_document(path)
    decoded = decode(document, ImageConfig)
    problems = hide_passwords(document, [*decoded.problems, *check(document, decoded.model, IMAGE_RULES)])
    paths = tuple(host_paths(document, decoded.broken))
    lists = _read_lists(path.parent, document, paths)
    doubtful = [] if problems else check(document, decoded.model, IMAGE_WARNINGS)
    warnings = (*document.warnings, *hide_passwords(document, doubtful), *lists.warnings)
    return ConfigFile(path, document, decoded.model, paths, lists.packages, warnings), [*problems, *lists.problems]


@dataclass
class _Lists:
    """What the list files hold, by the key that names the files, with what is wrong and what is probably not meant."""

    packages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def _read_lists(directory: Path, document: Document, paths: Iterable[HostPath]) -> _Lists:
    lists = _Lists()
    for found in paths:
        if found.kind is not Kind.LIST:
            continue
        if len(lists.problems) >= MAX_PROBLEMS:
            break
        key = str(found.key[2])  # os.packages.installLists[0]
        try:
            packages, warnings = _read_list(directory / found.path)
        except ConfigError as error:
            lists.problems += problems_of_other_file(document, found.key, found.kind.value, error)
        else:
            lists.packages[key] = lists.packages.get(key, ()) + packages
            lists.warnings += warnings
    return lists


def _read_list(path: Path) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    document = read_document(path)
    decoded = decode(document, PackageList)
    if decoded.problems:
        raise ConfigError(decoded.problems)
    return decoded.model.packages, (*document.warnings, *check(document, decoded.model, LIST_WARNINGS))


def hide_passwords(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    """The problems of a document, with no password of it shown."""
    found = list(problems)
    secrets = secrets_in(document, get_args(PasswordType)) if found else frozenset()
    return [without_secrets(problem, secrets) for problem in found]


def place_findings(document: Document, findings: Iterable[Finding]) -> list[Problem]:
    """Findings in a document as problems with their places, with no password of it shown."""
    return hide_passwords(document, [at_place(document, finding) for finding in findings])


def problems_of_other_file(document: Document, key: KeyPath, kind: str, error: ConfigError) -> Iterator[Problem]:
    """Problems inside another file stand at their own place; one with it as a whole at the place that names it."""
    for problem in error.problems:
        if problem.line:
            yield problem
        else:
            yield document.problem(key, f"{kind} {problem.file}: {problem.message}", problem.hint)
