"""`os.packages` and package list files (image-config spec, sections 4.14 and 10.1)."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from twinroot.config.scalars import Flag, NonEmptyStr, PackageSpec
from twinroot.config.section import Section


class Packages(Section):
    """Packages to remove, upgrade, install and update, in this order.

    Paths of list files are relative to the directory of the configuration file.
    """

    update_existing_packages: Flag = Field(
        default=False, description="Upgrade everything that is installed, after removals and before installs."
    )
    install_lists: tuple[NonEmptyStr, ...] = Field(
        default=(), description="Package list files whose packages are installed, before those of `install`."
    )
    install: tuple[PackageSpec, ...] = Field(default=(), description="Packages to install.")
    remove_lists: tuple[NonEmptyStr, ...] = Field(
        default=(), description="Package list files whose packages are removed, before those of `remove`."
    )
    remove: tuple[PackageSpec, ...] = Field(default=(), description="Packages to remove.")
    update_lists: tuple[NonEmptyStr, ...] = Field(
        default=(), description="Package list files whose packages are updated, before those of `update`."
    )
    update: tuple[PackageSpec, ...] = Field(default=(), description="Installed packages to update.")


class PackageList(Section):
    """A package list file."""

    packages: tuple[PackageSpec, ...] = Field(default=(), description="Package names.")


@dataclass(frozen=True)
class PackageChanges:
    """What `os.packages` comes to when its list files are read: lists first, then inline; duplicates are kept."""

    update_existing: bool = False
    install: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
