"""grub's first stages on a BIOS disk: boot code in the first sector, and the core image that it loads. Pure.

    sector 0              boot.img: loads one sector, whose number stands in it
    core image, sector 0  diskboot.img: loads the rest, by a list of stretches that ends at its last byte
    core image, rest      grub's kernel and modules, compressed

Offsets: grub's include/grub/i386/pc/boot.h and offsets.h; what is patched: util/setup.c.
"""

from __future__ import annotations

import struct

from twinroot.errors import FormatError

SECTOR = 512
# Behind it lie the disk signature and the partition entries.
BOOT_CODE = 440
_KERNEL_SECTOR, _BOOT_DRIVE, _DRIVE_CHECK = 0x5C, 0x64, 0x66
_ANY_DRIVE = 0xFF
_NO_OPERATION = b"\x90\x90"
# A stretch of the core image: first sector, number of sectors, segment to load to. The list grows downwards.
_STRETCH = struct.Struct("<QHH")
_SEGMENT = 0x800 + (SECTOR >> 4)


def boot_code(boot_image: bytes, core_sector: int) -> bytes:
    """The 440 bytes of boot.img for the first sector, set to load `core_sector`."""
    if len(boot_image) != SECTOR or boot_image[510:] != b"\x55\xaa":
        raise FormatError("grub's boot.img is not a boot sector")
    code = bytearray(boot_image[:BOOT_CODE])
    struct.pack_into("<Q", code, _KERNEL_SECTOR, core_sector)
    code[_BOOT_DRIVE] = _ANY_DRIVE
    # Some BIOSes pass a wrong number for hard disks: take what they pass, as grub-install does.
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _NO_OPERATION
    return bytes(code)


def placed_core(core: bytes, core_sector: int, room: int) -> bytes:
    """A core image made by grub-mkimage, set to lie in one piece at `core_sector`, where there are `room` bytes.

    FormatError when it is no core image or does not fit.
    """
    padded = bytearray(core.ljust(-(-len(core) // SECTOR) * SECTOR, b"\0"))
    sectors = len(padded) // SECTOR
    if sectors < 2:
        raise FormatError("grub-mkimage wrote no core image")
    if len(padded) > room:
        raise FormatError(
            f"grub's core image has {len(padded)} bytes, but the bios-grub partition only {room}",
            hint="make the bios-grub partition 1M or larger",
        )
    _STRETCH.pack_into(padded, SECTOR - _STRETCH.size, core_sector + 1, sectors - 1, _SEGMENT)
    # The list ends here.
    padded[SECTOR - 2 * _STRETCH.size : SECTOR - _STRETCH.size] = bytes(_STRETCH.size)
    return bytes(padded)
