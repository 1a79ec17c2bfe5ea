"""Small EFI programs with sections of our choice, such as unified kernel images have them."""

from __future__ import annotations

import struct


def efi_program(sections: dict[str, bytes] | None = None) -> bytes:
    """A PE file that nothing can run, with these sections and nothing else."""
    found = sections or {}
    content = b"".join(found.values())
    start = 0x80 + 24 + 40 * len(found)
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    pe = b"PE\0\0" + struct.pack("<HH12xH2x", 0x8664, len(found), 0)
    table = b""
    for name, data in found.items():
        table += struct.pack("<8sIIII16x", name.encode(), len(data), 0, len(data), start)
        start += len(data)
    return head.ljust(0x80, b"\0") + pe + table + content
