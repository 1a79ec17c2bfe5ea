"""Partition tables: whatever the bytes, there is a table that is right in itself, or a FormatError."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.mutations import CHANGES, Change, cases, changed, numbers
from tests.memory import little_memory

from twinroot.errors import FormatError
from twinroot.formats import gpt
from twinroot.units import ESP, KIB, LINUX_GENERIC, MIB, partition_type

SMALL_DISK = 128 * KIB
TABLE = gpt.Table(
    UUID(int=7),
    SMALL_DISK,
    (
        gpt.Partition(1, ESP, UUID(int=1), 34, 99, 0, "esp"),
        gpt.Partition(2, partition_type("root", "x86_64"), UUID(int=2), 100, 179, 5, "root"),
        gpt.Partition(7, LINUX_GENERIC, UUID(int=3), 180, 199, 0, "ä"),
    ),
)
_HEADER = "<8sIIIIQQQQ16sQIII"
# Fields of a header behind its checksum, by their place among the fields, with their bits.
HEADER_FIELDS = {1: 32, 2: 32, 5: 64, 6: 64, 7: 64, 8: 64, 10: 64, 11: 32, 12: 32}
ENTRY_FIELDS = {"first": 32, "last": 40, "attributes": 48}
DISK_SIZES = st.one_of(st.none(), st.just(SMALL_DISK), numbers(64))


def disk() -> bytes:
    data = bytearray(SMALL_DISK)
    primary, backup = gpt.primary_bytes(TABLE), gpt.backup_bytes(TABLE)
    data[: len(primary)] = primary
    data[gpt.backup_offset(TABLE) :] = backup
    return bytes(data)


DISK = disk()
PRIMARY = gpt.primary_bytes(TABLE)


def read(data: bytes, size: int | None) -> gpt.Table | None:
    """A table that is right in itself and can be written again; None after a FormatError."""
    with little_memory(MIB), suppress(FormatError):
        table = gpt.read_table(io.BytesIO(data), size)
        assert all(table.offset(each) + table.size(each) <= table.disk_size for each in table.partitions)
        assert table.sector_size in gpt.SECTOR_SIZES
        again = gpt.primary_bytes(table)
        found = gpt.read_table(io.BytesIO(again), table.disk_size)
        assert found == table or any("\ufffd" in each.name for each in table.partitions)
        assert gpt.region_length(again, table.sector_size) == len(again)
        return table
    return None


@cases(2000)
@given(CHANGES, st.booleans(), DISK_SIZES)
def test_damaged_disks(changes: list[Change], whole: bool, size: int | None) -> None:
    found = read(changed(DISK if whole else PRIMARY, changes), size)
    if found is not None and size is not None:
        assert found.disk_size == size


@cases(1000)
@given(st.binary(max_size=1200), st.sampled_from([0, 440, 446, 510, 512, 1024, 4096]), DISK_SIZES)
def test_raw_bytes(raw: bytes, at: int, size: int | None) -> None:
    assert read(raw, size) is None, "checksums of random bytes are never right"
    read(PRIMARY[:at] + raw + PRIMARY[at + len(raw) :], size)


OVERRIDES = st.dictionaries(st.sampled_from(sorted(HEADER_FIELDS)), numbers(64), max_size=3)
ENTRIES = st.lists(
    st.tuples(st.integers(0, 127), st.sampled_from([0, 16, 32, 40, 48, 56]), st.binary(min_size=8, max_size=8)),
    max_size=3,
)


@cases(2500)
@given(OVERRIDES, ENTRIES, st.booleans(), DISK_SIZES)
def test_hostile_fields_under_right_checksums(
    fields: dict[int, int], entries: list[tuple[int, int, bytes]], backup: bool, size: int | None
) -> None:
    data = bytearray(DISK)
    header_at = SMALL_DISK - 512 if backup else 512
    array_at = gpt.backup_offset(TABLE) if backup else 1024
    if backup:
        data[512:520] = b"damaged!"
    for number, at, value in entries:
        place = array_at + 128 * number + at
        data[place : place + 8] = value
    header = list(struct.unpack_from(_HEADER, data, header_at))
    header[13] = zlib.crc32(data[array_at : array_at + 128 * 128])
    for index, number in fields.items():
        header[index] = number & (2 ** HEADER_FIELDS[index] - 1)
    header[3] = 0
    struct.pack_into(_HEADER, data, header_at, *header)
    length = header[2] if 92 <= header[2] <= 512 else 92
    struct.pack_into("<I", data, header_at + 16, zlib.crc32(data[header_at : header_at + length]))
    read(bytes(data), size)


@cases(500)
@given(st.binary(max_size=600))
def test_first_sectors(raw: bytes) -> None:
    for sector in (raw, raw.ljust(510, b"\0")[:510] + b"\x55\xaa"):
        with suppress(FormatError):
            if gpt.has_protective_mbr(sector):
                assert sector[510:512] == b"\x55\xaa"
                assert 0xEE in sector[450:510:16]
