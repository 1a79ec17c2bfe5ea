"""Sections of EFI programs (PE files), as far as unified kernel images need it.

Layout (Microsoft's PE format specification), little endian:

    0x3C  u32 offset of "PE\\0\\0"
    +4    machine u16 | sections u16 | 12 bytes | size of optional header u16 | 2 bytes | optional header | sections

A section is 40 bytes: name, 8 bytes filled up with NULs | size in memory u32 | address u32 | size in the file u32 |
offset in the file u32 | 16 bytes. A section that is larger in the file than in memory ends where it does in memory.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from twinroot.errors import FormatError

_DOS_MAGIC, _PE_MAGIC = b"MZ", b"PE\0\0"
_OFFSET = struct.Struct("<I")
_OFFSET_AT = 0x3C
_HEAD = struct.Struct("<HH12xH2x")
_SECTION = struct.Struct("<8sIIII16x")


def read_section(file: BinaryIO, name: str, limit: int) -> bytes | None:
    """The content of the first section with a name; None without one. FormatError over `limit` bytes or for no PE."""
    start = _at(file, 0, _OFFSET_AT + _OFFSET.size)
    if not start.startswith(_DOS_MAGIC):
        raise FormatError("this is no EFI program: it does not begin with 'MZ'")
    (offset,) = _OFFSET.unpack_from(start, _OFFSET_AT)
    head = _at(file, offset, len(_PE_MAGIC) + _HEAD.size)
    if not head.startswith(_PE_MAGIC):
        raise FormatError("this is no EFI program: it has no PE header")
    _machine, count, optional = _HEAD.unpack_from(head, len(_PE_MAGIC))
    table = _at(file, offset + len(head) + optional, count * _SECTION.size)
    for found, memory, _address, size, place in _SECTION.iter_unpack(table):
        if found.rstrip(b"\0") == name.encode():
            length = min(memory, size)
            if length > limit:
                raise FormatError(f"section {name} has {length} bytes, more than {limit}")
            return _at(file, place, length)
    return None


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    found = file.read(length)
    if len(found) != length:
        raise FormatError(f"an EFI program ends within the {length} bytes at {offset}")
    return found
