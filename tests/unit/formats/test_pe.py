"""Sections of EFI programs."""

from __future__ import annotations

import io

import pytest
from tests.efi_programs import efi_program

from twinroot.errors import FormatError
from twinroot.formats.pe import read_section

PROGRAM = efi_program({".linux": b"kernel", ".cmdline": b"quiet", ".again": b"", ".end": b"no"})


def read(data: bytes, name: str, limit: int = 100) -> bytes | None:
    return read_section(io.BytesIO(data), name, limit)


def test_sections() -> None:
    assert read(PROGRAM, ".cmdline") == b"quiet"
    assert read(PROGRAM, ".again") == b""
    assert read(PROGRAM, ".initrd") is None
    with pytest.raises(FormatError, match="6 bytes, more than 5"):
        read(PROGRAM, ".linux", 5)


@pytest.mark.parametrize(
    "data", [b"", b"ELF" + bytes(100), b"MZ".ljust(0x3C) + b"\xff" * 4, PROGRAM.replace(b"PE", b"NE")]
)
def test_what_is_no_program(data: bytes) -> None:
    with pytest.raises(FormatError, match="EFI program"):
        read(data, ".cmdline")


@pytest.mark.parametrize("length", range(2, len(PROGRAM) - 1, 7))
def test_a_program_that_is_cut_off(length: int) -> None:
    with pytest.raises(FormatError, match="ends within"):
        read(PROGRAM[:length], ".end")
