"""Inodes and extent trees as bytes. Pure."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twinroot.formats.ext4 import BLOCK, INODE_SIZE

CHECKSUM_LOW, CHECKSUM_HIGH = 124, 130
LINKS_AT = 26
MAX_LINKS = 65000
# An extent can be no longer: a greater number marks blocks that are allocated and not written.
MAX_EXTENT = 32768
LEAF_ENTRIES = (BLOCK - 16) // 12
# Behind the fields up to i_projid, which EXTRA_SIZE covers, are attributes.
EXTRA_SIZE = 32
BODY_AT = 128 + EXTRA_SIZE
BODY_ROOM = INODE_SIZE - BODY_AT

_INODE = struct.Struct("<HHIIIIIHHIII60sIIIIHHHHHHHHIIIIIII")
_NODE = struct.Struct("<HHHHI")
_EXTENT = struct.Struct("<IHHI")
_INDEX = struct.Struct("<IIHH")
_NODE_MAGIC = 0xF30A
_ROOT_ENTRIES = 4
_HAS_EXTENTS = 0x80000


@dataclass(frozen=True)
class Extent:
    """`count` blocks of a file from its block `logical` on, at block `physical` of the filesystem."""

    logical: int
    physical: int
    count: int


@dataclass(frozen=True)
class Content:
    """What an inode points to: the 60 bytes of its block field, its size in bytes, the blocks it takes."""

    field: bytes
    size: int = 0
    blocks: int = 0
    extents: bool = False


def pack_inode(
    status: os.stat_result, links: int, content: Content, body: bytes = b"", attribute_block: int = 0
) -> bytes:
    """An inode with the owner, mode and times of a file; its checksum is still zero.

    `body` are the attributes in the inode itself. Times of change and creation, which nobody can set, are that of the
    last modification, so that the same tree gives the same bytes.
    """
    atime, atime_extra = _time(status.st_atime_ns)
    mtime, mtime_extra = _time(status.st_mtime_ns)
    sectors = (content.blocks + (1 if attribute_block else 0)) * (BLOCK // 512)
    fixed = _INODE.pack(
        status.st_mode,
        status.st_uid & 0xFFFF,
        content.size & 0xFFFFFFFF,
        atime,
        mtime,
        mtime,
        0,  # deletion
        status.st_gid & 0xFFFF,
        links,
        sectors & 0xFFFFFFFF,
        _HAS_EXTENTS if content.extents else 0,
        0,  # version
        content.field,
        0,  # generation
        attribute_block & 0xFFFFFFFF,
        content.size >> 32,
        0,  # fragment
        sectors >> 32,
        attribute_block >> 32,
        status.st_uid >> 16,
        status.st_gid >> 16,
        0,
        0,
        EXTRA_SIZE,
        0,
        mtime_extra,
        mtime_extra,
        atime_extra,
        mtime,
        mtime_extra,
        0,
        0,
    )
    return (fixed + body).ljust(INODE_SIZE, b"\0")


def _time(nanoseconds: int) -> tuple[int, int]:
    """The 32-bit field and its extension: 2 more bits of the seconds, 30 bits of nanoseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    seconds = max(-(1 << 31), min(seconds, (1 << 31) + 3 * (1 << 32) - 1))
    signed = ((seconds + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
    return seconds & 0xFFFFFFFF, (seconds - signed) >> 32 & 3 | rest << 2


def device_content(device: int) -> Content:
    """The content of a device node: small numbers in the old form, others in the new one."""
    major, minor = os.major(device), os.minor(device)
    if major < 256 and minor < 256:
        return Content(struct.pack("<I", major << 8 | minor).ljust(60, b"\0"))
    return Content(struct.pack("<II", 0, minor & 0xFF | major << 8 | (minor & ~0xFF) << 12).ljust(60, b"\0"))


def plain_content(mode: int, link: bytes = b"") -> Content:
    """The content of what has no blocks: a short symbolic link, a pipe, a socket."""
    return Content(link.ljust(60, b"\0"), len(link)) if stat.S_ISLNK(mode) else Content(bytes(60))


def extents_content(
    extents: Sequence[Extent], size: int, take: Callable[[], int], write: Callable[[int, bytes], None]
) -> Content:
    """The content of a file with blocks. More than four extents need blocks of their own: `take` gives one, `write`
    puts a node, without its checksum, at one."""
    blocks = sum(extent.count for extent in extents)
    entries = [
        (e.logical, _EXTENT.pack(e.logical, e.count, e.physical >> 32, e.physical & 0xFFFFFFFF)) for e in extents
    ]
    depth = 0
    while len(entries) > _ROOT_ENTRIES:
        above = []
        for first in range(0, len(entries), LEAF_ENTRIES):
            part = entries[first : first + LEAF_ENTRIES]
            block = take()
            blocks += 1
            write(block, _node(part, LEAF_ENTRIES, depth))
            above.append((part[0][0], _INDEX.pack(part[0][0], block & 0xFFFFFFFF, block >> 32, 0)))
        entries, depth = above, depth + 1
    return Content(_node(entries, _ROOT_ENTRIES, depth), size, blocks, extents=True)


def _node(entries: Sequence[tuple[int, bytes]], room: int, depth: int) -> bytes:
    header = _NODE.pack(_NODE_MAGIC, len(entries), room, depth, 0)
    return (header + b"".join(entry for _, entry in entries)).ljust(12 + 12 * room, b"\0")


class ExtentList:
    """The extents of one file, put together from runs of blocks."""

    def __init__(self) -> None:
        self.extents: list[Extent] = []

    def add(self, logical: int, physical: int, count: int) -> None:
        """`count` more blocks, behind all others in the file."""
        if self.extents:
            last = self.extents[-1]
            joined = last.logical + last.count == logical and last.physical + last.count == physical
            if joined and last.count < MAX_EXTENT:
                more = min(count, MAX_EXTENT - last.count)
                self.extents[-1] = Extent(last.logical, last.physical, last.count + more)
                logical, physical, count = logical + more, physical + more, count - more
        while count:
            part = min(count, MAX_EXTENT)
            self.extents.append(Extent(logical, physical, part))
            logical, physical, count = logical + part, physical + part, count - part
