"""Directories as blocks: entries one behind another, as the kernel reads them with or without an index. Pure."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable

from twinroot.formats.ext4 import BLOCK

# A block ends in an entry without a name that holds its checksum.
TAIL = struct.Struct("<IHBBI")
TAIL_AT = BLOCK - TAIL.size
_ENTRY = struct.Struct("<IHBB")
_TYPES = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: 7,
}


def directory_blocks(
    entries: Iterable[tuple[bytes, int, int]], inode: int, parent: int, at_least: int = 1
) -> list[bytearray]:
    """The blocks of a directory, their checksums still zero. Entries: name, inode number, mode."""
    blocks: list[bytearray] = []
    block, last = bytearray(), 0
    everything = [(b".", inode, stat.S_IFDIR), (b"..", parent, stat.S_IFDIR), *entries]
    for name, number, mode in everything:
        length = 8 + len(name) + 3 & ~3
        if len(block) + length > TAIL_AT:
            blocks.append(_close(block, last))
            block = bytearray()
        last = len(block)
        block += (_ENTRY.pack(number, length, len(name), _TYPES[stat.S_IFMT(mode)]) + name).ljust(length, b"\0")
    blocks.append(_close(block, last))
    while len(blocks) < at_least:
        blocks.append(_close(bytearray(_ENTRY.pack(0, 0, 0, 0)), 0))
    return blocks


def _close(block: bytearray, last: int) -> bytearray:
    """Let the last entry reach to the tail, and add that."""
    struct.pack_into("<H", block, last + 4, TAIL_AT - last)
    return block.ljust(TAIL_AT, b"\0") + TAIL.pack(0, TAIL.size, 0, 0xDE, 0)
