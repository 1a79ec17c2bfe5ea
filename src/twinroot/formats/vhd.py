"""The 512-byte footer that makes a raw disk a fixed VHD.

Source: "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006); all numbers are big endian. A fixed VHD
is the disk's bytes followed by the footer; a dynamic one carries the same footer with another type and is read by
qemu-img. The specification knows two sizes for a disk: the "current size" field, and cylinders x heads x sectors,
which is rounded. Readers tell from the creator tag which one counts (image behaviour 2.1, qemu block/vpc.c).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import BinaryIO
from uuid import UUID

from twinroot.errors import FormatError
from twinroot.units import round_up

FOOTER_SIZE = 512
COOKIE = b"conectix"
# The tag under which every reader, qemu and Azure among them, goes by the current size.
CREATOR = b"qem2"
SIZED_BY_GEOMETRY = frozenset({b"vpc ", b"vs  ", b"qemu"})

_FIELDS = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_DYNAMIC_HEADER = struct.Struct(">8sQQIII")
_DYNAMIC_COOKIE = b"cxsparse"
_UNUSED = 0xFFFFFFFF
_CHECKSUM_AT = 64
_FEATURES = 2  # a reserved bit that must always be set
_VERSION = 0x00010000
_NO_OFFSET = 0xFFFFFFFFFFFFFFFF
_HOST = b"Wi2k"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_SECTOR = 512
_MAX_CHS_SECTORS = 65535 * 16 * 255


class Kind(Enum):
    """The disk types of the footer."""

    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4


@dataclass(frozen=True)
class Footer:
    """What a footer says. `size` is the current size in bytes; `geometry` is (cylinders, heads, sectors per track)."""

    kind: Kind
    size: int
    creator: bytes
    geometry: tuple[int, int, int]
    uuid: UUID
    timestamp: datetime

    @property
    def sized_by_geometry(self) -> bool:
        """Whether the creator meant cylinders x heads x sectors as the disk's size, not the current size."""
        return self.creator in SIZED_BY_GEOMETRY

    @property
    def geometry_size(self) -> int:
        """The size in bytes that the geometry amounts to."""
        cylinders, heads, sectors = self.geometry
        return cylinders * heads * sectors * _SECTOR


def fixed_footer(size: int, *, uuid: UUID, timestamp: datetime) -> bytes:
    """The footer for a fixed disk of `size` bytes (a multiple of 512; Azure wants whole MiB).

    `timestamp` is cut to the range the format has (32 bits of seconds from 2000). Raises FormatError for other sizes.
    """
    if size <= 0 or size % _SECTOR:
        raise FormatError(f"a VHD cannot hold {size} bytes, only multiples of {_SECTOR}")
    seconds = min(max(int((timestamp - _EPOCH).total_seconds()), 0), 0xFFFFFFFF)
    head = (COOKIE, _FEATURES, _VERSION, _NO_OFFSET, seconds, CREATOR, _VERSION, _HOST, size, size)
    cylinders, heads, sectors = geometry(size)
    tail = (cylinders, heads, sectors, Kind.FIXED.value, 0, uuid.bytes, 0)
    footer = bytearray(_FIELDS.pack(*head, *tail).ljust(FOOTER_SIZE, b"\0"))
    struct.pack_into(">I", footer, _CHECKSUM_AT, _checksum(footer))
    return bytes(footer)


def read_footer(last: bytes) -> Footer | None:
    """The footer in the last 512 bytes of a file; None when there is none.

    Raises FormatError when there is one but its checksum or type is wrong.
    """
    if len(last) != FOOTER_SIZE or not last.startswith(COOKIE):
        return None
    fields = _FIELDS.unpack_from(last)
    _, _, _, _, seconds, creator, _, _, _, size, cylinders, heads, sectors, kind, checksum, unique, _ = fields
    if checksum != _checksum(last):
        raise FormatError("the VHD footer is damaged, its checksum is wrong")
    if kind not in {known.value for known in Kind}:
        raise FormatError(f"the VHD footer names the unknown disk type {kind}")
    when = datetime.fromtimestamp(_EPOCH.timestamp() + seconds, UTC)
    return Footer(Kind(kind), size, creator, (cylinders, heads, sectors), UUID(bytes=unique), when)


def dynamic_end(file: BinaryIO) -> int:
    """The offset behind the last block of a dynamic VHD, which begins with a copy of the footer.

    FormatError where what says so is missing.
    """
    data_offset = int.from_bytes(_read(file, 16, 8), "big")
    header = _DYNAMIC_HEADER.unpack(_read(file, data_offset, _DYNAMIC_HEADER.size))
    cookie, _next, table_offset, _version, entries, block_size = header
    if cookie != _DYNAMIC_COOKIE:
        raise FormatError("the VHD file has no header of a dynamic disk")
    # A block begins with a bit for each of its sectors.
    length = round_up(block_size // _SECTOR // 8, _SECTOR) + block_size
    table = _read(file, table_offset, 4 * entries)
    blocks = (first * _SECTOR + length for (first,) in struct.iter_unpack(">I", table) if first != _UNUSED)
    end: int = max(blocks, default=table_offset + len(table))
    return end


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    # Asked of the file before it is read: a damaged header may want more memory than there is.
    if offset + length > file.seek(0, os.SEEK_END):
        raise FormatError("the VHD file ends before its tables do")
    file.seek(offset)
    return file.read(length)


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track for a disk of `size` bytes (VHD specification, appendix)."""
    total = min(size // _SECTOR, _MAX_CHS_SECTORS)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    for sectors, fewest_heads, most_heads in ((17, 4, 16), (31, 16, 16)):
        tracks = total // sectors
        heads = max(-(-tracks // 1024), fewest_heads)
        if heads <= most_heads and tracks < heads * 1024:
            return tracks // heads, heads, sectors
    return total // 63 // 16, 16, 63


def _checksum(footer: bytes | bytearray) -> int:
    """One's complement of the sum of all bytes, those of the checksum itself left out."""
    total = sum(footer) - sum(footer[_CHECKSUM_AT : _CHECKSUM_AT + 4])
    return ~total & 0xFFFFFFFF
