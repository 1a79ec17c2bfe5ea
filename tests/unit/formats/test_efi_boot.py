"""Boot variables are read and written byte by byte; damage is an error with words, never anything else."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.errors import FormatError
from twinroot.formats.efi_boot import (
    ACTIVE,
    HardDrive,
    LoadOption,
    Node,
    new_option,
    read_numbers,
    read_option,
    read_path,
    read_text,
    write_numbers,
    write_option,
    write_path,
    write_text,
)

DRIVE = HardDrive(1, 2048, 131072, UUID("01234567-89ab-cdef-0123-456789abcdef"))
NODES = st.builds(Node, st.integers(0, 0x7E), st.integers(0, 255), st.binary(max_size=60))
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
OPTIONS = st.builds(
    LoadOption,
    st.integers(0, 2**32 - 1),
    TEXTS,
    st.lists(NODES, max_size=4).map(write_path),
    st.binary(max_size=40),
)


def option_bytes() -> bytes:
    head = (1).to_bytes(4, "little") + (0x60).to_bytes(2, "little") + "AZLA\0".encode("utf-16-le")
    drive = bytes.fromhex("04012a00 01000000 0008000000000000 0000020000000000")
    drive += bytes.fromhex("67452301ab89efcd0123456789abcdef") + bytes([2, 2])
    file = "\\EFI\\AZLA\\bootx64.efi\0".encode("utf-16-le")
    return head + drive + bytes([4, 4, len(file) + 4, 0]) + file + bytes.fromhex("7fff0400")


def test_an_entry_of_ours_has_the_bytes_of_the_specification() -> None:
    data = bytearray(option_bytes())
    data[4:6] = (len(data) - 6 - 10).to_bytes(2, "little")
    option = new_option("AZLA", DRIVE, "\\EFI\\AZLA\\bootx64.efi")
    assert write_option(option) == bytes(data)
    assert option.attributes == ACTIVE
    assert option.loader == "\\EFI\\AZLA\\bootx64.efi"
    assert option.partition == DRIVE


@given(OPTIONS)
def test_what_is_written_is_read_again(option: LoadOption) -> None:
    assert read_option(write_option(option)) == option


@given(st.binary(max_size=120))
def test_any_bytes_are_an_entry_that_is_written_as_it_was_or_an_error(data: bytes) -> None:
    try:
        option = read_option(data)
    except FormatError:
        return
    assert write_option(option) == data
    assert option.loader is None or isinstance(option.loader, str)


@given(OPTIONS, st.integers(0, 200))
def test_a_cut_entry_is_an_error_or_lacks_optional_data(option: LoadOption, length: int) -> None:
    data = write_option(option)[:length]
    try:
        read = read_option(data)
    except FormatError:
        return
    assert (read.description, read.paths) == (option.description, option.paths)


@given(st.lists(NODES, max_size=5))
def test_device_paths(nodes: list[Node]) -> None:
    assert read_path(write_path(nodes) + b"another path") == tuple(nodes)


@given(st.lists(st.integers(0, 0xFFFF)))
def test_lists_of_numbers(numbers: list[int]) -> None:
    assert read_numbers(write_numbers(numbers)) == tuple(numbers)


def test_half_a_number_is_an_error() -> None:
    with pytest.raises(FormatError, match="3 bytes"):
        read_numbers(b"\0\0\0")


@given(TEXTS)
def test_texts_end_in_a_nul_or_not_at_all(text: str) -> None:
    assert read_text(write_text(text)) == text
    assert read_text(write_text(text)[:-2]) == text


@pytest.mark.parametrize(
    ("nodes", "loader", "partition"),
    [
        ((), None, None),
        ((Node(4, 4, write_text("\\EFI")), Node(4, 4, write_text("\\a.efi"))), "\\EFI\\a.efi", None),
        ((Node(4, 1, bytes(38)),), None, None),  # neither GPT nor a GUID
        ((Node(4, 1, b"short"), Node(4, 4, b"")), "", None),
        ((Node(2, 1, b"pci"),), None, None),
    ],
)
def test_entries_of_others(nodes: tuple[Node, ...], loader: str | None, partition: HardDrive | None) -> None:
    option = LoadOption(0, "other", write_path(nodes))
    assert (option.loader, option.partition) == (loader, partition)


def test_what_does_not_fit_is_not_written() -> None:
    with pytest.raises(FormatError, match="NUL"):
        write_text("a\0b")
    with pytest.raises(FormatError, match="65540 bytes"):
        write_path([Node(4, 4, bytes(0x10000))])
    with pytest.raises(FormatError, match="more than 65535"):
        write_option(LoadOption(0, "", bytes(0x10000)))
