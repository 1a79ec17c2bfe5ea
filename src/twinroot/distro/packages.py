"""Package managers as the builder sees them: one interface, one module per family (`rpm`, `apt`).

Every manager is a program of the image, run inside its tree. Its caches and downloaded lists are bound in from the
build directory, so that they take no room in the image, are shared between runs and cannot be left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import resolve_inside

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class PackageSources:
    """Where packages may come from: the image's own repositories, and what the user named (`--rpm-source`)."""

    paths: tuple[Path, ...]
    image_repositories: bool


@dataclass(frozen=True)
class InstalledPackage:
    """One installed package. Debian packages have no release."""

    name: str
    version: str
    release: str
    arch: str


class PackageManager(Protocol):
    """The operations of one config's package section; each raises a TwinrootError that names the package at fault."""

    def refresh(self, on_line: OnLine) -> None:
        """Fetch the repositories' lists; an unreachable repository is an error."""

    def remove(self, names: Sequence[str], on_line: OnLine) -> None:
        """Remove packages; one that is not installed is an error. Needs no repository."""

    def upgrade_all(self, on_line: OnLine) -> None:
        """Upgrade everything that is installed."""

    def install(self, names: Sequence[str], on_line: OnLine) -> None:
        """Install packages in one transaction."""

    def update(self, names: Sequence[str], on_line: OnLine) -> None:
        """Bring installed packages to the newest version in one transaction."""

    def remove_itself(self, names: Sequence[str], on_line: OnLine) -> None:
        """Remove those of the packages that are installed, protected or not, with what needs them."""


def bind_cache(mounts: Mounts, root: Path, directory: str, cache: Path) -> None:
    """Put a directory of the build directory over a cache directory of the image."""
    source = cache / directory.strip("/").replace("/", "-")
    source.mkdir(parents=True, exist_ok=True)
    mounts.bind(source, resolve_inside(root, directory), temporary=True)
