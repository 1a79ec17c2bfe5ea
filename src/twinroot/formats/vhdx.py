"""VHDX: where the data of a file ends, so that a file that was cut off is noticed.

qemu reads zeros for blocks behind the end of the file. Facts: [MS-VHDX] 2.2 (region table), 2.5 (block allocation
table), 2.6 (metadata).
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO
from uuid import UUID

from twinroot.errors import FormatError
from twinroot.units import KIB, MIB

SIGNATURE = b"vhdxfile"
_REGION_TABLES = (192 * KIB, 256 * KIB)
_BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_ENTRIES_AT_MOST = 2047
_PRESENT = (6, 7)


def data_end(file: BinaryIO) -> int:
    """The offset behind the last block that the file refers to; FormatError when its tables cannot be read."""
    regions = _regions(file)
    if _BAT not in regions or _METADATA not in regions:
        raise FormatError("the VHDX file has no block table or no metadata")
    block_size = _block_size(file, regions[_METADATA][0])
    offset, length = regions[_BAT]
    table = _read(file, offset, length)
    end = offset + length
    for (entry,) in struct.iter_unpack("<Q", table[: length // 8 * 8]):
        if entry & 7 in _PRESENT:
            end = max(end, (entry >> 20) * MIB + block_size)
    return end


def _regions(file: BinaryIO) -> dict[UUID, tuple[int, int]]:
    """Offset and length of each region, from the first of the two tables that is there."""
    for place in _REGION_TABLES:
        table = _read(file, place, 64 * KIB)
        if table[:4] == b"regi":
            count = min(int.from_bytes(table[8:12], "little"), _ENTRIES_AT_MOST)
            rows = struct.iter_unpack("<16sQII", table[16 : 16 + 32 * count])
            return {UUID(bytes_le=guid): (offset, length) for guid, offset, length, _required in rows}
    raise FormatError("the VHDX file has no region table")


def _block_size(file: BinaryIO, metadata: int) -> int:
    table = _read(file, metadata, 64 * KIB)
    count = min(int.from_bytes(table[10:12], "little"), _ENTRIES_AT_MOST)
    for guid, offset, _length, _flags, _reserved in struct.iter_unpack("<16sIIII", table[32 : 32 + 32 * count]):
        if UUID(bytes_le=guid) == _FILE_PARAMETERS:
            return int.from_bytes(_read(file, metadata + offset, 4), "little")
    raise FormatError("the VHDX file does not name its block size")


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    # Asked of the file before it is read: a damaged table may want more memory than there is.
    if offset + length > file.seek(0, os.SEEK_END):
        raise FormatError("the VHDX file ends before its tables do")
    file.seek(offset)
    return file.read(length)
