"""`os.packages` and package list files (image-config spec, sections 4.14 and 10.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, WithJsonSchema

from twinroot.config.problems import quoted
from twinroot.config.scalars import Flag, NonEmptyStr, PackageSpec, ScalarError, from_text
from twinroot.config.section import Section

_SNAPSHOT_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-5][0-9]))?"
)
_TIME = WithJsonSchema({"type": "string", "examples": ["2025-10-28", "2025-10-28T12:00:00Z"]})


def point_in_time(text: str) -> datetime | None:
    """A moment with a zone (RFC 3339), or the midnight (UTC) that begins a day; None for empty text."""
    if not text:
        return None
    try:
        if not _SNAPSHOT_TIME.fullmatch(text):
            raise ValueError
        # Python takes six digits of a second at most.
        found = datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text))
    except ValueError:
        hint = "write YYYY-MM-DD, or YYYY-MM-DDThh:mm:ssZ"
        raise ScalarError(f"{quoted(text)} is not a point in time", hint) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
    snapshot_time: Annotated[datetime | None, from_text(point_in_time), _TIME] = Field(
        default=None,
        description="Only packages published before this time: `YYYY-MM-DD` or `YYYY-MM-DDThh:mm:ssZ`. For tdnf only. "
        "Needs the preview feature `package-snapshot-time`.",
    )
    remove_package_manager: Flag | None = Field(
        default=None,
        description="Remove the package manager in the end. Not for `iso`, `pxe-*`, `cosi` and `baremetal-image` "
        "output. Needs the preview feature `remove-package-manager`.",
    )


class PackageList(Section):
    """A package list file."""

    packages: tuple[PackageSpec, ...] = Field(default=(), description="Package names.")


@dataclass(frozen=True)
class PackageChanges:
    """What `os.packages` comes to when its list files are read: lists first, then inline; duplicates are kept.

    With a `snapshot_time`, packages that were published later do not exist.
    """

    update_existing: bool = False
    install: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    snapshot_time: datetime | None = None

    @property
    def any(self) -> bool:
        """Whether there is something to do."""
        return bool(self.update_existing or self.install or self.remove or self.update)

    def at(self, time: datetime | None) -> PackageChanges:
        """The same with another snapshot time, if there is one."""
        return replace(self, snapshot_time=time) if time else self
