"""Extended attributes as bytes: in the inode behind its fields, or in a block of their own. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from twinroot.formats.ext4 import BLOCK
from twinroot.formats.ext4.inode import BODY_ROOM

MAGIC = 0xEA020000
CHECKSUM_AT = 16
_HEADER = struct.Struct("<IIIII12x")
_ENTRY = struct.Struct("<BBHIII")
# Namespaces are numbers on disk; the longest prefix counts.
_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_PREFIXES = ((_ACCESS, 2), (_DEFAULT, 3), ("user.", 1), ("trusted.", 4), ("security.", 6), ("system.", 7))
_ACL_USER, _ACL_GROUP = 0x02, 0x08
_MASK = 0xFFFFFFFF


class TooLargeError(Exception):
    """Attributes that no block holds."""


def pack_attributes(attributes: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """What goes into the inode and what into a block (its checksum still zero), each empty when there is nothing.

    TooLargeError when a file has more than fits in a block, KeyError for a namespace that ext4 does not have.
    """
    if not attributes:
        return b"", b""
    entries = sorted(_entry(name, value) for name, value in attributes.items())
    entries = [(index, length, name, value) for index, length, name, value in entries]
    body = _pack(entries, BODY_ROOM - 4, 0)
    if body is not None:
        return struct.pack("<I", MAGIC) + body, b""
    block = _pack(entries, BLOCK - _HEADER.size, _HEADER.size)
    if block is None:
        raise TooLargeError
    total = 0
    for _index, _length, name, value in entries:
        if not (hashed := _hash(name, value)):
            total = 0
            break
        total = (total << 16 & _MASK) ^ total >> 16 ^ hashed
    return b"", _HEADER.pack(MAGIC, 1, 1, total, 0) + block


def _entry(name: str, value: bytes) -> tuple[int, int, bytes, bytes]:
    for prefix, index in _PREFIXES:
        if name.startswith(prefix):
            rest = name.removeprefix(prefix).encode("utf-8", "surrogateescape")
            return index, len(rest), rest, _acl(value) if index in (2, 3) else value
    raise KeyError(name)


def _pack(entries: list[tuple[int, int, bytes, bytes]], room: int, base: int) -> bytes | None:
    """Entries from the front, values from the back, offsets counted from `base` bytes before; None without room."""
    front, end = b"", room
    result = bytearray(room)
    for index, length, name, value in entries:
        end -= len(value) + 3 & ~3
        # Behind the last entry is a word of zeros.
        if len(front) + (_ENTRY.size + length + 3 & ~3) + 4 > end:
            return None
        where = end + base if value else 0
        header = _ENTRY.pack(length, index, where, 0, len(value), _hash(name, value))
        front += (header + name).ljust(len(header) + length + 3 & ~3, b"\0")
        result[end : end + len(value)] = value
    result[: len(front)] = front
    return bytes(result)


def _hash(name: bytes, value: bytes) -> int:
    """The hash of an attribute (fs/ext4/xattr.c, ext4_xattr_hash_entry)."""
    state = 0
    for byte in name:
        state = (state << 5 & _MASK) ^ state >> 27 ^ byte
    padded = value.ljust(len(value) + 3 & ~3, b"\0")
    for (word,) in struct.iter_unpack("<I", padded):
        state = (state << 16 & _MASK) ^ state >> 16 ^ word
    return state


def _acl(value: bytes) -> bytes:
    """An access control list as ext4 stores it: ids only where an entry has one (fs/ext4/acl.h)."""
    stored = struct.pack("<I", 1)
    for tag, permissions, number in struct.iter_unpack("<HHI", value[4:]):
        stored += struct.pack("<HH", tag, permissions)
        if tag in (_ACL_USER, _ACL_GROUP):
            stored += struct.pack("<I", number)
    return stored
