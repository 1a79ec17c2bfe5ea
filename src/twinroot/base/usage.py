"""How much of a filesystem is in use, from its superblock, without mounting it."""

from __future__ import annotations

from pathlib import Path

from twinroot.errors import TwinrootError
from twinroot.plan.disk import EXT_TYPES
from twinroot.tools import e2fsprogs, fat
from twinroot.tools.e2fsprogs import Location

# btrfs_super_block (64 KiB into the filesystem): bytes_used, little-endian (btrfs on-disk format).
_BTRFS_USED = 0x10000 + 0x78
# squashfs superblock: bytes_used, little-endian (squashfs format 4.0).
_SQUASHFS_USED = 40


def used_bytes(raw: Path, offset: int, size: int, fs_type: str | None) -> int | None:
    """Bytes in use of the filesystem of a type at `offset`; None when that cannot be told."""
    try:
        if fs_type in EXT_TYPES:
            block = e2fsprogs.superblock(Location(raw, offset))
            return block.size - block.free_blocks * block.block_size
        if fs_type == "vfat":
            free = fat.free_bytes(raw, offset)
            return size - free if free is not None and free <= size else None
    except TwinrootError:
        # The caller shows what is known; a damaged filesystem has no usage.
        return None
    if fs_type == "btrfs":
        return _number(raw, offset + _BTRFS_USED, 8, "little")
    if fs_type == "squashfs":
        return _number(raw, offset + _SQUASHFS_USED, 8, "little")
    if fs_type == "xfs":
        return _xfs(raw, offset)
    return None


def _xfs(raw: Path, offset: int) -> int | None:
    """xfs_dsb (xfs_format.h), big-endian: sb_blocksize at 4, sb_dblocks at 8, sb_fdblocks at 144."""
    size = _number(raw, offset + 4, 4, "big")
    blocks, free = _number(raw, offset + 8, 8, "big"), _number(raw, offset + 144, 8, "big")
    return size * (blocks - free) if free <= blocks else None


def _number(raw: Path, offset: int, length: int, order: str) -> int:
    with raw.open("rb") as file:
        file.seek(offset)
        return int.from_bytes(file.read(length), "big" if order == "big" else "little")
