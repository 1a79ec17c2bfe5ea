"""Giving a filesystem in a file another UUID where it lies, by the program of its type."""

from __future__ import annotations

from pathlib import Path

from twinroot.errors import InternalError
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location
from twinroot.tools.run import run

PROGRAMS = {
    "ext2": "tune2fs",
    "ext3": "tune2fs",
    "ext4": "tune2fs",
    "vfat": "fatlabel",
    "xfs": "xfs_admin",
    "btrfs": "btrfstune",
    "swap": "swaplabel",
}


def set_uuid(path: Path, fs_type: str, uuid: str) -> None:
    """Set the UUID (as blkid prints it) of the filesystem that a file holds; CommandError when it is damaged."""
    match fs_type:
        case "ext2" | "ext3" | "ext4":
            e2fsprogs.repair(Location(path))  # tune2fs asks for it
            run(["tune2fs", "-f", "-U", uuid, path])
            e2fsprogs.check(Location(path))
        case "vfat":
            run(["fatlabel", "-i", path, uuid.replace("-", "")])
        case "xfs":
            run(["xfs_admin", "-U", uuid, path])
        case "btrfs":
            run(["btrfstune", "-f", "-U", uuid, path])
        case "swap":
            run(["swaplabel", "-U", uuid, path])
        case _:
            raise InternalError(f"nobody gives {fs_type} a new UUID")
