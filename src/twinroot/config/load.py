"""Load an image configuration file: read, decode, check, and read the package lists it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinroot.config.decode import check_rules, decode
from twinroot.config.document import Document
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.layout import Layout, resolve_layout
from twinroot.config.image.not_built import NOT_BUILT
from twinroot.config.image.packages import PackageChanges, PackageList, Packages
from twinroot.config.image.rules import IMAGE_RULES
from twinroot.config.problems import KeyPath
from twinroot.config.yaml import read_document
from twinroot.errors import ConfigError, Problem

_PACKAGES: KeyPath = ("os", "packages")
_LISTS = {"installLists": "install_lists", "removeLists": "remove_lists", "updateLists": "update_lists"}


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration that is right, with what it refers to.

    `packages` has the list files merged in; `layout` is None when the image keeps its partitions.
    """

    path: Path
    config: ImageConfig
    packages: PackageChanges
    layout: Layout | None

    @property
    def directory(self) -> Path:
        """The directory that relative paths of the file refer to (image-config spec, section 7)."""
        return self.path.parent

    def resolve(self, path: str) -> Path:
        """A path of the file: absolute paths as they are, others relative to its directory."""
        return self.directory / path


def load_image_config(path: Path, *, architecture: str = "x86_64") -> LoadedConfig:
    """Load a configuration for an architecture ("x86_64" or "arm64"); one ConfigError with every problem found."""
    document = read_document(path)
    decoded = decode(document, ImageConfig, NOT_BUILT)
    problems = [*decoded.problems, *check_rules(document, decoded, IMAGE_RULES)]
    config = decoded.model or ImageConfig()
    lists, list_problems = _read_lists(path, document, config.os.packages if config.os else Packages())
    problems += list_problems
    if problems:
        raise ConfigError(problems)
    layout = None
    if config.storage.disks:
        layout, _ = resolve_layout(config.storage.disks[0], ("storage", "disks", 0), architecture)
    return LoadedConfig(path, config, _merge(config, lists), layout)


def _read_lists(path: Path, document: Document, packages: Packages) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    """The packages of all list files, by the key that names the files, and the problems."""
    lists: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for key, attribute in _LISTS.items():
        names: list[str] = []
        for index, file in enumerate(getattr(packages, attribute)):
            try:
                names += _read_list(path.parent / file)
            except ConfigError as error:
                problems += _list_problems(document, (*_PACKAGES, key, index), error)
        lists[key] = tuple(names)
    return lists, problems


def _read_list(path: Path) -> tuple[str, ...]:
    document = read_document(path)
    decoded = decode(document, PackageList)
    if decoded.problems or decoded.model is None:
        raise ConfigError(decoded.problems)
    return decoded.model.packages


def _list_problems(document: Document, key: KeyPath, error: ConfigError) -> Iterator[Problem]:
    """Problems inside a list file stand at their own place; one with the file as a whole at the place that names it."""
    for problem in error.problems:
        if problem.line:
            yield problem
        else:
            yield document.problem(key, f"package list {problem.file}: {problem.message}", problem.hint)


def _merge(config: ImageConfig, lists: dict[str, tuple[str, ...]]) -> PackageChanges:
    packages = config.os.packages if config.os else Packages()
    return PackageChanges(
        update_existing=packages.update_existing_packages,
        install=lists["installLists"] + packages.install,
        remove=lists["removeLists"] + packages.remove,
        update=lists["updateLists"] + packages.update,
    )
