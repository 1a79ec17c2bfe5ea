"""qcow2: where the tables of a file end, so that a file that was cut off is noticed.

qemu reads zeros, that is an empty disk, for tables behind the end of the file. Facts: qemu's docs/interop/qcow2.rst,
"Header" and "Cluster mapping".
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from twinroot.errors import FormatError

MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQ")
_CLUSTER_BITS = range(9, 22)
_OFFSET = 0x00FF_FFFF_FFFF_FE00  # of the second-level table in an entry of the first level


def tables_end(file: BinaryIO) -> int:
    """The offset behind the last of the tables that map clusters; FormatError where the header is none.

    Where the first level itself lies behind the end of the file, what it refers to is not known, and its own end is
    given.
    """
    file.seek(0)
    header = file.read(_HEADER.size)
    if not header.startswith(MAGIC):
        raise FormatError("the file has no qcow2 header")
    if len(header) < _HEADER.size:
        raise FormatError("the qcow2 file ends within its header")
    _magic, _version, _backing, _length, cluster_bits, _size, _crypt, entries, offset = _HEADER.unpack(header)
    if cluster_bits not in _CLUSTER_BITS:
        raise FormatError("the qcow2 header has an impossible cluster size")
    end: int = offset + 8 * entries
    # Before it is read: a damaged header may want more memory than there is.
    if end > file.seek(0, os.SEEK_END):
        return end
    file.seek(offset)
    for (entry,) in struct.iter_unpack(">Q", file.read(8 * entries)):
        if table := entry & _OFFSET:
            end = max(end, table + (1 << cluster_bits))
    return end
