"""COSI files made to take much memory."""

from __future__ import annotations

import tarfile

import pytest
from tests.memory import little_memory
from tests.unit.formats.small_file import reading

from twinroot.errors import FormatError
from twinroot.formats.cosi import metadata, tar
from twinroot.formats.cosi.check import verify
from twinroot.formats.cosi.reader import read_cosi
from twinroot.units import GIB, MIB


def test_an_archive_of_endless_members() -> None:
    """Every block is the header of an empty member with another name."""

    def read_at(offset: int, _size: int) -> bytes:
        return tar.header(f"images/{offset}", 0)

    with little_memory(16 * MIB):
        with pytest.raises(FormatError, match="more than 4096 members"):
            read_cosi(read_at, "test.cosi")
        assert {finding.rule for finding in verify(read_at).errors} >= {"T2", "O7"}


def test_as_many_members_as_there_may_be() -> None:
    data = b"".join(tar.header(f"images/{number}", 0) for number in range(4096)) + bytes(1024)
    assert len(list(tar.walk(lambda offset, size: data[offset : offset + size]))) == 4096


def with_name(path: str, number: int = 0) -> bytes:
    """A member whose name is in an extended header, as POSIX has it."""
    info = tarfile.TarInfo(f"images/{number}")
    info.pax_headers = {"path": f"{path}{number}"}
    return info.tobuf(tarfile.PAX_FORMAT)


def test_long_names_of_members() -> None:
    """Each would be remembered."""
    assert [len(member.name) for member in tar.walk(reading(with_name("x" * 4095) + bytes(1024)))] == [4096]
    with pytest.raises(FormatError, match="a name of more than 4096 bytes"):
        list(tar.walk(reading(with_name("x" * 4096))))
    with pytest.raises(FormatError, match="at most 65536 are read"):
        list(tar.walk(reading(with_name("x" * 65536))))


@pytest.mark.parametrize("value", [b"[]", b"{}", b"0", b'{"a":0}'])
def test_a_document_of_very_many_values(value: bytes) -> None:
    text = b"[" + b",".join([value] * 1_500_000) + b"]"
    with little_memory(2 * MIB):
        assert [finding.rule for finding in metadata.inspect(text, strict=True).findings] == ["M1"]
        assert metadata.integrity_problem(text, required=False) == "is too large to be looked at"


def test_a_document_that_is_too_long_is_not_read() -> None:
    head = tar.header("metadata.json", 8 * GIB)

    def read_at(offset: int, size: int) -> bytes:
        assert size <= 1024
        return (head + bytes(size))[:size] if offset == 0 else bytes(size)

    with pytest.raises(FormatError, match="at most 16777216 are read"):
        read_cosi(read_at, "test.cosi")
