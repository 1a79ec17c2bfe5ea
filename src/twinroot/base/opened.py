"""Base filesystems that can only be read by mounting them: xfs and btrfs, read-only in our own namespace, as root."""

from __future__ import annotations

import logging
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import CommandError
from twinroot.plan.facts import BaseFilesystem
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import resolve_inside
from twinroot.tools import btrfs
from twinroot.tools.run import require

log = logging.getLogger(__name__)

KERNEL_TYPES = ("xfs", "btrfs")


@dataclass(frozen=True)
class OpenedFilesystem:
    """Where a filesystem is mounted, from its top. btrfs: the paths of its subvolumes, and which is the default."""

    top: Path
    subvolumes: tuple[str, ...] = ()
    default: str = ""

    def view(self, subvolume: str) -> Path:
        """The directory of a subvolume; "" is the top."""
        return resolve_inside(self.top, subvolume)

    def read(self, path: str) -> bytes | None:
        """A regular file by its path from the top, links followed inside; None when it is not there."""
        return read_plain(self.top, path)

    def list(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty when it is not there."""
        found = resolve_inside(self.top, path)
        return sorted(entry.name for entry in found.iterdir()) if found.is_dir() else []


def read_plain(top: Path, path: str) -> bytes | None:
    """A regular file inside a tree, where no link leads out of it; None when it is not there."""
    found = resolve_inside(top, path)
    try:
        if not stat.S_ISREG(found.lstat().st_mode):
            return None
        return found.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_filesystems(
    raw: Path, filesystems: Sequence[BaseFilesystem], scratch: Path, mounts: Mounts
) -> dict[int, OpenedFilesystem]:
    """Mount every xfs and btrfs filesystem below `scratch`; by partition number.

    One that cannot be mounted is passed over: it may be none that the system uses.
    """
    found = {}
    for filesystem in filesystems:
        if filesystem.type not in KERNEL_TYPES:
            continue
        number = filesystem.partition.number
        target = scratch / f"opened/{number}"
        try:
            top = mounts.filesystem(
                raw, filesystem.offset, filesystem.size, filesystem.type, target, unprivileged=False
            )  # fmt: skip
        except CommandError as error:
            log.info("The %s filesystem of partition %d is not read: %s", filesystem.type, number, error.output.strip())
            continue
        if filesystem.type == "btrfs":
            require(("btrfs",))
            found[number] = OpenedFilesystem(top, btrfs.list_subvolumes(top), btrfs.default_subvolume(top))
        else:
            found[number] = OpenedFilesystem(top)
    return found
