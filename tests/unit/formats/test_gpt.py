"""GPT: what we write we read back; what is damaged is refused with FormatError and nothing else."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.errors import FormatError
from twinroot.formats import gpt
from twinroot.units import ESP, LINUX_GENERIC, MIB

DISK = UUID("11111111-2222-3333-4444-555555555555")


def table(sector_size: int = 512, disk_size: int = 64 * MIB, entry_count: int = 128) -> gpt.Table:
    mib = MIB // sector_size
    return gpt.Table(
        DISK,
        disk_size,
        (
            gpt.Partition(2, LINUX_GENERIC, UUID(int=2), 9 * mib, 20 * mib - 1, 1 << 60, "root-a"),
            gpt.Partition(1, ESP, UUID(int=1), mib, 9 * mib - 1, 0, "ESP ä€"),
            gpt.Partition(7, LINUX_GENERIC, UUID(int=7), 40 * mib, 41 * mib - 1, 0, "x" * 36),
        ),
        sector_size,
        entry_count,
    )


def disk(of: gpt.Table) -> io.BytesIO:
    stream = io.BytesIO(bytes(of.disk_size))
    stream.write(gpt.primary_bytes(of))
    stream.seek(gpt.backup_offset(of))
    stream.write(gpt.backup_bytes(of))
    assert stream.tell() == of.disk_size
    return stream


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("entry_count", [8, 128, 256])
@pytest.mark.parametrize("size_known", [True, False])
def test_round_trip(sector_size: int, entry_count: int, size_known: bool) -> None:
    original = table(sector_size, entry_count=entry_count)
    assert gpt.read_table(disk(original), original.disk_size if size_known else None) == original


def test_partitions_are_sorted_by_number_and_findable() -> None:
    it = table()
    assert [p.number for p in it.partitions] == [1, 2, 7]
    assert it.offset(it.partition(1)) == MIB
    assert it.size(it.partition(1)) == 8 * MIB
    with pytest.raises(KeyError):
        it.partition(3)


def test_primary_region_is_17408_bytes_and_enough_to_read() -> None:
    data = gpt.primary_bytes(table())
    assert len(data) == 17408
    assert gpt.read_table(io.BytesIO(data)) == table()


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("at", ["header", "array", "signature"])
def test_backup_takes_over_when_the_primary_is_damaged(sector_size: int, at: str) -> None:
    stream = disk(table(sector_size))
    stream.seek({"header": sector_size + 60, "array": 2 * sector_size + 5, "signature": sector_size}[at])
    stream.write(b"\xff")
    assert gpt.read_table(stream, 64 * MIB) == table(sector_size)
    assert gpt.read_table(stream) == table(sector_size)


def test_both_copies_damaged() -> None:
    stream = disk(table())
    for offset in (512 + 60, 64 * MIB - 512 + 60):
        stream.seek(offset)
        stream.write(b"\xff")
    with pytest.raises(FormatError, match="damaged: the checksum of the GPT header is wrong"):
        gpt.read_table(stream)


def test_grown_disk_keeps_its_table() -> None:
    stream = disk(table())
    grown = gpt.read_table(stream, 128 * MIB)
    assert grown.disk_size == 128 * MIB
    assert grown.partitions == table().partitions


def test_nothing_there() -> None:
    with pytest.raises(FormatError, match="does not contain a GPT partition table"):
        gpt.read_table(io.BytesIO(bytes(MIB)))
    with pytest.raises(FormatError, match="does not contain a GPT partition table"):
        gpt.read_table(io.BytesIO(b""))


def test_wiped_disk_is_not_revived_from_its_backup() -> None:
    stream = disk(table())
    stream.seek(0)
    stream.write(bytes(MIB))
    with pytest.raises(FormatError, match="does not contain"):
        gpt.read_table(stream)


def test_mbr_disk_says_so_even_with_remains_of_a_gpt() -> None:
    stream = disk(table())
    mbr = bytearray(512)
    struct.pack_into("<B3sB3sII", mbr, 446, 0x80, b"\0\0\0", 0x83, b"\0\0\0", 2048, 4096)
    mbr[510:] = b"\x55\xaa"
    stream.seek(0)
    stream.write(mbr)
    with pytest.raises(FormatError, match="MBR"):
        gpt.read_table(stream)


def with_partitions(*ranges: tuple[int, int, int]) -> gpt.Table:
    partitions = tuple(gpt.Partition(n, LINUX_GENERIC, UUID(int=n), first, last) for n, first, last in ranges)
    return gpt.Table(DISK, MIB, partitions)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([(1, 40, 50), (2, 50, 60)], "partitions 1 and 2 overlap"),
        ([(1, 40, 50), (2, 20, 90)], "overlap"),
        ([(1, 40, 39)], "ends before it begins"),
        ([(1, 40, 4096)], "beyond the end of the disk"),
        ([(1, 40, 41), (1, 50, 51)], "same number"),
        ([(0, 40, 41)], "between 1 and 128"),
        ([(129, 40, 41)], "between 1 and 128"),
    ],
)
def test_impossible_tables(ranges: list[tuple[int, int, int]], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        with_partitions(*ranges)


@pytest.mark.parametrize("ranges", [[(1, 33, 50)], [(1, 40, 2047)]])
def test_partitions_over_the_table_itself(ranges: list[tuple[int, int, int]]) -> None:
    with pytest.raises(FormatError, match="overlaps the partition table"):
        gpt.primary_bytes(with_partitions(*ranges))


def test_other_things_that_cannot_be_written() -> None:
    with pytest.raises(FormatError, match="too small"):
        gpt.primary_bytes(gpt.Table(DISK, 20480, ()))
    long_name = dataclasses.replace(table().partition(1), name="y" * 37)
    with pytest.raises(FormatError, match="longer than 36"):
        gpt.primary_bytes(dataclasses.replace(table(), partitions=(long_name,)))
    with pytest.raises(FormatError, match="sector size"):
        gpt.Table(DISK, MIB, (), 1024)


@st.composite
def tables(draw: st.DrawFn) -> gpt.Table:
    sector_size = draw(st.sampled_from([512, 4096]))
    count = draw(st.integers(0, 8))
    numbers = draw(st.lists(st.integers(1, 128), min_size=count, max_size=count, unique=True))
    edges = sorted(draw(st.lists(st.integers(40, 10**9), min_size=2 * count, max_size=2 * count, unique=True)))
    text = st.text(st.characters(min_codepoint=1, max_codepoint=0xD7FF), max_size=36)
    partitions = [
        gpt.Partition(
            number,
            UUID(int=draw(st.integers(1, 2**128 - 1))),
            UUID(int=draw(st.integers(0, 2**128 - 1))),
            edges[2 * index],
            edges[2 * index + 1] - 1,
            draw(st.integers(0, 2**64 - 1)),
            draw(text),
        )
        for index, number in enumerate(numbers)
    ]
    return gpt.Table(DISK, (10**9 + 64) * sector_size, tuple(partitions), sector_size)


@given(tables())
def test_any_table_survives_its_primary_bytes(it: gpt.Table) -> None:
    assert gpt.read_table(io.BytesIO(gpt.primary_bytes(it))) == it


class TwoEnds(io.RawIOBase):
    """A large disk of which only the two ends hold data: enough for a table, without its gigabytes."""

    def __init__(self, head: bytes, tail_at: int, tail: bytes) -> None:
        self.head, self.tail_at, self.tail, self.position = head, tail_at, tail, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (self.tail_at + len(self.tail) if whence == io.SEEK_END else 0)
        return self.position

    def read(self, size: int = -1) -> bytes:
        inside = self.position - self.tail_at
        data = self.tail[inside : inside + size] if inside >= 0 else self.head[self.position : self.position + size]
        self.position += len(data)
        return data


@given(tables())
def test_any_table_survives_its_backup_bytes(it: gpt.Table) -> None:
    mbr_only = gpt.primary_bytes(it)[: it.sector_size]
    stream = TwoEnds(mbr_only, gpt.backup_offset(it), gpt.backup_bytes(it))
    assert gpt.read_table(stream, it.disk_size) == it  # type: ignore[arg-type]


def test_every_flipped_byte_of_header_and_entries_is_refused() -> None:
    data = gpt.primary_bytes(table())
    for position in [*range(512, 604), *range(1024, 1024 + 7 * 128, 7), len(data) - 1]:
        broken = bytearray(data)
        broken[position] ^= 0xFF
        with pytest.raises(FormatError):
            gpt.read_table(io.BytesIO(broken))


@pytest.mark.parametrize("size", [2**63 + 512, 2**62, 2**45])
def test_a_size_that_no_disk_has_is_no_crash(tmp_path: Path, size: int) -> None:
    damaged = bytearray(gpt.primary_bytes(table()))
    damaged[512] ^= 1
    (tmp_path / "disk").write_bytes(damaged)
    with (tmp_path / "disk").open("rb") as file, pytest.raises(FormatError, match="does not contain a GPT"):
        gpt.read_table(file, size)


def test_boot_code_is_kept() -> None:
    data = bytearray(gpt.primary_bytes(table()))
    data[:440] = b"\x90" * 440
    found = gpt.read_table(io.BytesIO(data))
    assert found == replace(table(), boot_code=b"\x90" * 440)
    assert gpt.primary_bytes(found) == data
    with pytest.raises(FormatError, match="does not fit"):
        gpt.primary_bytes(replace(table(), boot_code=bytes(441)))


@given(st.binary(max_size=3000), st.integers(0, 1100), st.booleans())
def test_garbage_raises_only_format_errors(garbage: bytes, at: int, fix_header: bool) -> None:
    data = bytearray(gpt.primary_bytes(table()))
    data[512 + at : 512 + at + len(garbage)] = garbage
    if fix_header:
        data[512:520] = gpt.SIGNATURE
    for length in (len(data), 600, 511):
        try:
            gpt.read_table(io.BytesIO(data[:length]))
        except FormatError as error:
            assert error.message


@given(st.integers(12, 91), st.binary(min_size=8, max_size=8))
def test_wrong_fields_under_a_right_checksum(at: int, value: bytes) -> None:
    data = bytearray(gpt.primary_bytes(table()))
    data[512 + at : 512 + at + 8] = value
    size = struct.unpack_from("<I", data, 524)[0]
    if 92 <= size <= 512:
        data[528:532] = bytes(4)
        struct.pack_into("<I", data, 528, zlib.crc32(data[512 : 512 + size]))
    try:
        gpt.read_table(io.BytesIO(data))
    except FormatError as error:
        assert error.message
