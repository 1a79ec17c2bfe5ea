"""Extended attributes of ext4 inodes: in the inode's own space, and in one block beside it. Pure.

Facts: fs/ext4/xattr.h. Each place begins with a magic number; entries follow, ended by four zero bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from twinroot.errors import FormatError

_MAGIC = 0xEA020000
_PREFIXES = {
    0: "", 1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.",
    7: "system.", 8: "system.richacl",
}  # fmt: skip
INLINE_DATA = "system.data"  # where the end of a small file is kept; no attribute of its own
_LARGEST = 65536  # XATTR_SIZE_MAX

ReadInode = Callable[[int, int], bytes]


def inode_attributes(body: bytes, read_inode: ReadInode) -> Iterator[tuple[str, bytes]]:
    """The attributes in an inode's own space. `read_inode(number, size)` gives a value that has an inode of its own."""
    if len(body) <= 128:
        return
    start = 128 + int.from_bytes(body[128:130], "little")
    if start + 4 > len(body) or int.from_bytes(body[start : start + 4], "little") != _MAGIC:
        return
    area = body[start + 4 :]
    yield from _entries(area, 0, area, read_inode)


def block_attributes(block: bytes, read_inode: ReadInode) -> Iterator[tuple[str, bytes]]:
    """The attributes in a block; FormatError when it is none of that kind."""
    magic, _count, blocks = struct.unpack_from("<III", block)
    if magic != _MAGIC or blocks != 1:
        raise FormatError("a block of extended attributes is damaged")
    yield from _entries(block, 32, block, read_inode)


def _entries(area: bytes, position: int, values: bytes, read_inode: ReadInode) -> Iterator[tuple[str, bytes]]:
    while area[position : position + 4].strip(b"\0"):
        if position + 16 > len(area):
            raise FormatError("an extended attribute does not fit")
        name_length, index, offset, inode, size, _hash = struct.unpack_from("<BBHIII", area, position)
        name = area[position + 16 : position + 16 + name_length]
        if len(name) < name_length or size > _LARGEST or (not inode and offset + size > len(values)):
            raise FormatError("an extended attribute does not fit")
        shown = _PREFIXES.get(index, f"{index}.") + name.decode("utf-8", "surrogateescape")
        yield shown, read_inode(inode, size) if inode else values[offset : offset + size]
        position += 16 + (name_length + 3) // 4 * 4
