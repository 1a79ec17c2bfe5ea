"""How long an RPM file must be, from its beginning: tells a cut-off or foreign file from a package.

Facts: RPM package format v4 (lead, signature header; tags RPMSIGTAG_SIZE and RPMSIGTAG_LONGSIZE).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from twinroot.errors import FormatError

_LEAD = 96
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_SIZES = {1000: ">I", 270: ">Q"}
_SIGNATURES_AT_MOST = 64 * 1024 * 1024  # as rpm itself


def whole_size(file: BinaryIO) -> int:
    """Bytes that the file must have at least; FormatError when it is no RPM or ends before it says."""
    beginning = file.read(_LEAD + 16)
    if beginning[:4] != _LEAD_MAGIC or beginning[_LEAD : _LEAD + 4] != _HEADER_MAGIC:
        raise FormatError("it is not an RPM file, or its beginning is damaged")
    entries, store = struct.unpack_from(">II", beginning, _LEAD + 8)
    length: int = entries * 16 + store
    if length > _SIGNATURES_AT_MOST:
        raise FormatError("its signature header has an impossible size")
    header = file.read(length)
    if len(header) < length:
        raise FormatError("it is cut off")
    end: int = _LEAD + 16 + length
    end += -end % 8
    for tag, _type, offset, _count in struct.iter_unpack(">IIII", header[: entries * 16]):
        kind = _SIZES.get(tag)
        place = entries * 16 + offset
        if kind and place + struct.calcsize(kind) <= length:
            return end + int(struct.unpack_from(kind, header, place)[0])
    return end
