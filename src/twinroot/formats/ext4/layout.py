"""The fixed structures of ext2/3/4 on disk: superblock, groups, inodes, extent nodes, directory blocks. Pure.

Facts: the kernel's Documentation/filesystems/ext4 and fs/ext4/ext4.h. All numbers are little-endian. Whatever does not
hold what it must is a FormatError: the bytes come from images that anybody may have made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from twinroot.errors import FormatError

SUPERBLOCK_OFFSET = 1024
SUPERBLOCK_SIZE = 1024
ROOT_INODE = 2
_MAGIC = 0xEF53
# Incompatible features that change nothing in how files are read, or that are read here.
FILETYPE, META_BG, EXTENTS, BIT64, INLINE_DATA = 0x2, 0x10, 0x40, 0x80, 0x8000
_RECOVER, _MMP, _FLEX_BG, _EA_INODE, _CSUM_SEED, _LARGE_DIR, _CASEFOLD = (
    0x4,
    0x100,
    0x200,
    0x400,
    0x2000,
    0x4000,
    0x20000,
)
_READ = FILETYPE | META_BG | EXTENTS | BIT64 | INLINE_DATA | _RECOVER | _MMP | _FLEX_BG | _EA_INODE | _CSUM_SEED
_READ |= _LARGE_DIR | _CASEFOLD
_SPARSE_SUPER, _BIGALLOC = 0x1, 0x200  # of the features that forbid writing
_SPARSE_SUPER2 = 0x200  # of the compatible features
INODE_EXTENTS, INODE_INLINE = 0x80000, 0x10000000
_EXTENT_MAGIC = 0xF30A
_DEEPEST = 5  # levels below an extent root (EXT4_MAX_EXTENT_DEPTH)
_UNWRITTEN = 32768  # a longer extent is reserved space that reads as zeros


@dataclass(frozen=True)
class Superblock:
    """The geometry. Sizes in bytes, blocks and inodes counted; `groups` block groups."""

    block_size: int
    blocks: int
    inodes: int
    first_data_block: int
    blocks_per_group: int
    inodes_per_group: int
    inode_size: int
    descriptor_size: int
    incompatible: int
    sparse_super: bool
    first_meta_group: int
    uuid: UUID

    @property
    def groups(self) -> int:
        """How many block groups there are."""
        return -(-(self.blocks - self.first_data_block) // self.blocks_per_group)


@dataclass(frozen=True)
class Inode:
    """One inode. `mode` is st_mode; times in nanoseconds since 1970; `block` are the 60 bytes of the block map.

    `xattr_block` is 0 where there is none; `body` is the inode as it is on disk.
    """

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    links: int
    flags: int
    atime: int
    ctime: int
    mtime: int
    block: bytes
    xattr_block: int
    body: bytes


@dataclass(frozen=True)
class Extent:
    """`count` blocks of a file from block `logical` on, at block `physical`; not `written` ones are zeros."""

    logical: int
    count: int
    physical: int
    written: bool = True


def parse_superblock(data: bytes) -> Superblock:
    """The superblock; FormatError when there is none, its figures are impossible or a feature is not read here."""
    if len(data) < SUPERBLOCK_SIZE or _u16(data, 0x38) != _MAGIC:
        raise FormatError("there is no ext superblock")
    revision, incompatible, read_only = _u32(data, 0x4C), _u32(data, 0x60), _u32(data, 0x64)
    unknown = incompatible & ~_READ if revision else 0
    if unknown:
        raise FormatError(f"the ext filesystem has features that cannot be read (0x{unknown:x})")
    if read_only & _BIGALLOC and revision:
        raise FormatError("the ext filesystem uses bigalloc, which cannot be read")
    if _u32(data, 0x5C) & _SPARSE_SUPER2 and incompatible & META_BG:
        raise FormatError("the ext filesystem has sparse_super2 with meta_bg, which cannot be read")
    shift = _u32(data, 0x18)
    if shift > 6:
        raise FormatError("the ext superblock has an impossible block size")
    high = _u32(data, 0x150) if incompatible & BIT64 else 0
    found = Superblock(
        block_size=1024 << shift,
        blocks=_u32(data, 0x4) | high << 32,
        inodes=_u32(data, 0x0),
        first_data_block=_u32(data, 0x14),
        blocks_per_group=_u32(data, 0x20),
        inodes_per_group=_u32(data, 0x28),
        inode_size=_u16(data, 0x58) if revision else 128,
        descriptor_size=_u16(data, 0xFE) if incompatible & BIT64 else 32,
        incompatible=incompatible,
        sparse_super=bool(read_only & _SPARSE_SUPER),
        first_meta_group=_u32(data, 0x104),
        uuid=UUID(bytes=bytes(data[0x68:0x78])),
    )
    _check_geometry(found)
    return found


def _check_geometry(found: Superblock) -> None:
    block = found.block_size
    sound = (
        found.first_data_block == (1 if block == 1024 else 0)
        and 0 < found.blocks_per_group <= 8 * block
        and 0 < found.inodes_per_group <= 8 * block
        and found.first_data_block < found.blocks < 1 << 48
        and found.inode_size in (128, 256, 512, 1024, 2048, 4096)
        and found.inode_size <= block
        and found.descriptor_size in (32, 64, 128, 256, 512, 1024)
        and found.inodes >= ROOT_INODE
        and found.inodes == found.groups * found.inodes_per_group
    )
    if not sound:
        raise FormatError("the ext superblock has impossible figures")


def parse_inode_table(descriptor: bytes) -> int:
    """The first block of a group's inode table."""
    return _u32(descriptor, 0x8) | (_u32(descriptor, 0x28) << 32 if len(descriptor) >= 64 else 0)


def parse_inode(number: int, body: bytes) -> Inode:
    """An inode from its bytes on disk, as many as the superblock's `inode_size`."""
    (mode, uid, size, atime, ctime, mtime) = struct.unpack_from("<HHIIII", body)
    gid, links = struct.unpack_from("<HH", body, 0x18)
    extra = _u16(body, 0x80) if len(body) > 128 else 0
    if extra and (extra % 4 or 128 + extra > len(body)):
        raise FormatError(f"inode {number} has an impossible size")
    extras = [_u32(body, at) if extra >= at + 4 - 128 else 0 for at in (0x84, 0x88, 0x8C)]
    return Inode(
        number=number,
        mode=mode,
        uid=uid | _u16(body, 0x78) << 16,
        gid=gid | _u16(body, 0x7A) << 16,
        size=size | _u32(body, 0x6C) << 32,
        links=links,
        flags=_u32(body, 0x20),
        atime=_time(atime, extras[2]),
        ctime=_time(ctime, extras[0]),
        mtime=_time(mtime, extras[1]),
        block=bytes(body[0x28:0x64]),
        xattr_block=_u32(body, 0x68) | _u16(body, 0x76) << 32,
        body=body,
    )


def _time(seconds: int, extra: int) -> int:
    """Nanoseconds since 1970: 32 bits with a sign, two more above them, 30 bits of nanoseconds."""
    signed = seconds - (1 << 32) if seconds & 0x80000000 else seconds
    return (signed + ((extra & 3) << 32)) * 10**9 + (extra >> 2)


@dataclass(frozen=True)
class ExtentNode:
    """A node of an extent tree: leaves have `extents`, the others `children`, the blocks of the nodes below."""

    depth: int
    extents: tuple[Extent, ...]
    children: tuple[int, ...]


def parse_extent_node(data: bytes, depth: int | None) -> ExtentNode:
    """A node; `depth` is what it must be, None for the root, which says how deep the tree is."""
    magic, entries, _room, level = struct.unpack_from("<HHHH", data)
    if magic != _EXTENT_MAGIC or level > _DEEPEST or (depth is not None and level != depth):
        raise FormatError("an extent tree is damaged")
    if entries > len(data) // 12 - 1:
        raise FormatError("an extent tree has more entries than room")
    rows = [data[12 + 12 * i : 24 + 12 * i] for i in range(entries)]
    if level:
        return ExtentNode(level, (), tuple(_u32(row, 4) | _u16(row, 8) << 32 for row in rows))
    found = []
    for row in rows:
        logical, count, high, low = struct.unpack("<IHHI", row)
        written = count <= _UNWRITTEN
        length = count if written else count - _UNWRITTEN
        if length == 0:
            raise FormatError("an extent is empty")
        found.append(Extent(logical, length, low | high << 32, written))
    return ExtentNode(0, tuple(found), ())


def directory_entries(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Inode numbers and names in one directory block, without `.` and `..`; index nodes look like blocks without any.

    FormatError for entries that do not fit, and for names that no file can have.
    """
    position = 0
    while position < len(data):
        if len(data) - position < 8:
            raise FormatError("a directory entry does not fit its block")
        inode, length, name_length = struct.unpack_from("<IHB", data, position)
        if length in (0, 65535) and len(data) == 65536:
            length = 65536
        if length < 8 or length % 4 or position + length > len(data) or name_length > length - 8:
            raise FormatError("a directory entry does not fit its block")
        name = bytes(data[position + 8 : position + 8 + name_length])
        if inode and name not in (b".", b".."):
            if not name or b"/" in name or b"\0" in name:
                raise FormatError("a directory has a name that no file can have")
            yield inode, name
        position += length


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
