"""grub's first stages: what is patched, and what is refused."""

from __future__ import annotations

import struct

import pytest

from twinroot.errors import FormatError
from twinroot.formats.grub_bios import boot_code, placed_core

BOOT_IMAGE = bytes(range(256)) + bytes(254) + b"\x55\xaa"


def test_boot_code_names_the_core_image() -> None:
    code = boot_code(BOOT_IMAGE, 0x123456789A)
    assert len(code) == 440
    assert struct.unpack_from("<Q", code, 0x5C) == (0x123456789A,)
    assert code[0x64] == 0xFF and code[0x66:0x68] == b"\x90\x90"
    changed = set(range(0x5C, 0x65)) | {0x66, 0x67}
    assert all(code[at] == BOOT_IMAGE[at] for at in range(440) if at not in changed)


@pytest.mark.parametrize("image", [b"", bytes(512), BOOT_IMAGE + b"x"])
def test_what_is_no_boot_sector(image: bytes) -> None:
    with pytest.raises(FormatError, match=r"boot\.img is not a boot sector"):
        boot_code(image, 2048)


def test_the_core_image_is_told_where_it_lies() -> None:
    placed = placed_core(b"\x01" * 512 * 40 + b"\x02" * 100, 2048, 1 << 20)
    assert len(placed) == 512 * 41
    assert struct.unpack_from("<QHH", placed, 500) == (2049, 40, 0x820)
    assert placed[488:500] == bytes(12)
    assert placed[:488] == b"\x01" * 488 and placed[512 * 40 + 100 :] == bytes(412)


@pytest.mark.parametrize(
    ("length", "message"), [(512, "no core image"), (0, "no core image"), (600_000, "1M or larger")]
)
def test_cores_that_cannot_be_placed(length: int, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        placed_core(bytes(length), 2048, 512 * 1024)
    assert message in str(caught.value)
