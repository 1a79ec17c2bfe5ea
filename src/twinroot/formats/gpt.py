"""The GUID partition table: reading it with all its checks, and writing it byte by byte.

Layout (UEFI specification 2.10, section 5.3; LBA = a sector of 512 or 4096 bytes):

    LBA 0        protective MBR: one entry of type 0xEE over the whole disk
    LBA 1        primary header (92 bytes used)
    LBA 2 …      entry array, usually 128 entries of 128 bytes
    …            partitions
    last LBAs    the same entry array again, then the backup header in the very last LBA

`primary_bytes` gives the first three: that is also what a COSI file carries as its `primary-gpt` region (COSI spec
4.1, 17,408 bytes for 128 entries and 512-byte sectors). Like the Linux kernel (block/partitions/efi.c), a table is
taken from the backup only where a protective MBR says that there is one, and a disk whose MBR lists partitions
without an 0xEE entry counts as an MBR disk even if remains of a GPT lie behind it.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import BinaryIO
from uuid import UUID

from twinroot.errors import FormatError
from twinroot.units import round_up

SIGNATURE = b"EFI PART"
SECTOR_SIZES = (512, 4096)
ENTRY_SIZE = 128
ENTRY_COUNT = 128
NAME_CHARACTERS = 36
# Behind it come the disk signature and the partition entries of the MBR (UEFI table 5-1).
BOOT_CODE = 440

_REVISION = 0x00010000
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_MBR_ENTRY = struct.Struct("<B3sB3sII")
_MBR_ENTRIES_AT = 446
_PROTECTIVE = 0xEE
# UEFI 5.3.1: at least 16 KiB are kept for the entry array, however few entries there are.
_MIN_ARRAY = 16384
# No tool makes an array beyond this; it bounds what a damaged header can make us read.
_MAX_ARRAY = 4 * 1024 * 1024
_NIL = UUID(int=0)


@dataclass(frozen=True)
class Partition:
    """One used entry. `number` counts from 1; `first_lba` and `last_lba` are both part of the partition."""

    number: int
    type_uuid: UUID
    uuid: UUID
    first_lba: int
    last_lba: int
    attributes: int = 0
    name: str = ""

    @property
    def sectors(self) -> int:
        """Length in sectors."""
        return self.last_lba - self.first_lba + 1


@dataclass(frozen=True)
class Table:
    """A partition table. `disk_size` in bytes; `partitions` ascend by number.

    `boot_code` is what a BIOS runs: at most the first 440 bytes of the disk, without zeros at their end.
    Raises FormatError when partitions overlap, share a number, are reversed or lie beyond the end of the disk.
    """

    disk_uuid: UUID
    disk_size: int
    partitions: tuple[Partition, ...]
    sector_size: int = 512
    entry_count: int = ENTRY_COUNT
    boot_code: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "partitions", tuple(sorted(self.partitions, key=lambda p: p.number)))
        _check_table(self)

    @property
    def sectors(self) -> int:
        """Size of the disk in whole sectors."""
        return self.disk_size // self.sector_size

    @property
    def array_sectors(self) -> int:
        """Sectors that the entry array takes."""
        return round_up(max(self.entry_count * ENTRY_SIZE, _MIN_ARRAY), self.sector_size) // self.sector_size

    @property
    def first_usable_lba(self) -> int:
        """The first sector that a partition may use, as we lay the table out."""
        return 2 + self.array_sectors

    @property
    def last_usable_lba(self) -> int:
        """The last sector that a partition may use, as we lay the table out."""
        return self.sectors - 2 - self.array_sectors

    def offset(self, partition: Partition) -> int:
        """Where the partition begins, in bytes."""
        return partition.first_lba * self.sector_size

    def size(self, partition: Partition) -> int:
        """How long the partition is, in bytes."""
        return partition.sectors * self.sector_size

    def partition(self, number: int) -> Partition:
        """The partition with that number; KeyError if there is none."""
        for partition in self.partitions:
            if partition.number == number:
                return partition
        raise KeyError(number)

    def by_start(self) -> tuple[Partition, ...]:
        """The partitions in the order in which they lie on the disk."""
        return tuple(sorted(self.partitions, key=lambda p: p.first_lba))


@dataclass(frozen=True)
class _Header:
    """The fields of a header that matter after its checks."""

    sector_size: int
    alternate_lba: int
    first_usable: int
    last_usable: int
    disk_uuid: UUID
    entries_lba: int
    entry_count: int
    entry_size: int
    entries_crc: int


def read_table(stream: BinaryIO, disk_size: int | None = None) -> Table:
    """Read the table of a disk, a disk image, or only its first LBAs (a COSI `primary-gpt` region).

    `stream` is positioned anywhere and must be seekable. `disk_size` (bytes) is where the backup table ends; None
    means: as the primary header says, or the length of the stream if that header is damaged. A missing or damaged
    backup is tolerated; a damaged primary is replaced by the backup. Raises FormatError when there is no GPT or when
    neither copy is valid.
    """
    mbr = _read_at(stream, 0, 512)
    table = _read_either(stream, disk_size, protective=_check_mbr(mbr))
    # Without its signature a BIOS does not run it.
    code = mbr[:BOOT_CODE].rstrip(b"\0") if mbr[510:512] == b"\x55\xaa" else b""
    return replace(table, boot_code=code) if code else table


def _read_either(stream: BinaryIO, disk_size: int | None, *, protective: bool) -> Table:
    """The primary table, or the backup where the primary is damaged."""
    problem: FormatError | None = None
    for sector_size in SECTOR_SIZES:
        block = _read_at(stream, sector_size, sector_size)
        if block[:8] != SIGNATURE:
            continue
        try:
            return _read_copy(stream, block, sector_size, 1, disk_size)
        except FormatError as error:
            problem = problem or error
    if protective:
        backup = _read_backup(stream, disk_size)
        if backup:
            return backup
    if problem:
        raise FormatError(f"the GPT partition table is damaged: {problem.message}")
    raise FormatError("does not contain a GPT partition table")


def primary_bytes(table: Table) -> bytes:
    """Protective MBR, primary header and entry array: the start of the disk, up to the array's last byte."""
    array = _array(table)
    header = _header(table, array, my_lba=1, alternate_lba=table.sectors - 1, entries_lba=2)
    return _protective_mbr(table) + header + array


def backup_bytes(table: Table) -> bytes:
    """Entry array and backup header: the end of the disk, from `backup_offset` on."""
    array = _array(table)
    padded = array.ljust(table.array_sectors * table.sector_size, b"\0")
    last = table.sectors - 1
    return padded + _header(table, array, my_lba=last, alternate_lba=1, entries_lba=last - table.array_sectors)


def backup_offset(table: Table) -> int:
    """Where `backup_bytes` goes, in bytes from the start of the disk."""
    return (table.sectors - 1 - table.array_sectors) * table.sector_size


def has_protective_mbr(start: bytes) -> bool:
    """Whether the first sector of a disk is a protective MBR; FormatError if it is an MBR with its own partitions."""
    return _check_mbr(start[:512])


def region_length(start: bytes, sector_size: int) -> int:
    """Where the entry array ends, in bytes, according to the primary header in the (valid) start of a disk."""
    fields = _HEADER.unpack_from(start, sector_size)
    entries_lba, count, size = fields[10:13]
    return int(entries_lba * sector_size + count * size)


def _check_mbr(mbr: bytes) -> bool:
    """True for a protective MBR, False for none at all; FormatError for an MBR with partitions of its own."""
    if len(mbr) < 512 or mbr[510:512] != b"\x55\xaa":
        return False
    entries = [_MBR_ENTRY.unpack_from(mbr, _MBR_ENTRIES_AT + 16 * index) for index in range(4)]
    kinds = [entry[2] for entry in entries]
    if _PROTECTIVE in kinds:
        return True
    # A FAT boot sector carries the same two signature bytes, with code where the entries would be.
    if all(entry[0] in (0x00, 0x80) for entry in entries) and any(entry[2] and entry[5] for entry in entries):
        raise FormatError(
            "does not contain a GPT partition table, it has an MBR (DOS) partition table",
            hint="convert the disk to GPT first, for example with sgdisk --mbrtogpt",
        )
    return False


def _read_backup(stream: BinaryIO, disk_size: int | None) -> Table | None:
    end = stream.seek(0, io.SEEK_END) if disk_size is None else disk_size
    for sector_size in SECTOR_SIZES:
        lba = end // sector_size - 1
        block = _read_at(stream, lba * sector_size, sector_size) if lba > 1 else b""
        if block[:8] != SIGNATURE:
            continue
        try:
            return _read_copy(stream, block, sector_size, lba, end)
        except FormatError:
            continue
    return None


def _read_copy(stream: BinaryIO, block: bytes, sector_size: int, lba: int, disk_size: int | None) -> Table:
    """The table whose header is `block`, found at `lba`."""
    header = _parse_header(block, sector_size, lba)
    array = _read_at(stream, header.entries_lba * sector_size, header.entry_count * header.entry_size)
    if len(array) < header.entry_count * header.entry_size:
        raise FormatError("the GPT entry array is cut off")
    if zlib.crc32(array) != header.entries_crc:
        raise FormatError("the checksum of the GPT entry array is wrong")
    size = disk_size if disk_size is not None else (max(header.alternate_lba, lba) + 1) * sector_size
    if size > 2**64:
        raise FormatError("the GPT header names a disk size that cannot be")
    partitions = _parse_array(array, header)
    return Table(header.disk_uuid, size, partitions, sector_size, header.entry_count)


def _parse_header(block: bytes, sector_size: int, lba: int) -> _Header:
    if len(block) < sector_size:
        raise FormatError("the GPT header is cut off")
    fields = _HEADER.unpack_from(block)
    _, revision, header_size, crc, _, my_lba, alternate, first, last, guid, entries_lba, count, size, entries_crc = (
        fields
    )
    if not _HEADER.size <= header_size <= sector_size:
        raise FormatError(f"the GPT header claims an impossible size of {header_size} bytes")
    if zlib.crc32(block[:16] + bytes(4) + block[20:header_size]) != crc:
        raise FormatError("the checksum of the GPT header is wrong")
    if revision >> 16 != _REVISION >> 16:
        raise FormatError(f"the GPT revision {revision >> 16}.{revision & 0xFFFF} is unknown")
    if my_lba != lba:
        raise FormatError(f"the GPT header at LBA {lba} says that it belongs to LBA {my_lba}")
    if size < ENTRY_SIZE or size & (size - 1) or not count or count * size > _MAX_ARRAY:
        raise FormatError(f"the GPT entry array of {count} entries of {size} bytes is out of range")
    array_end = entries_lba + round_up(count * size, sector_size) // sector_size
    if entries_lba < 2 or entries_lba >= 2**63 // sector_size or (lba == 1 and array_end > first) or first > last + 1:
        raise FormatError("the GPT header describes areas that overlap")
    return _Header(sector_size, alternate, first, last, UUID(bytes_le=guid), entries_lba, count, size, entries_crc)


def _parse_array(array: bytes, header: _Header) -> tuple[Partition, ...]:
    found = []
    for index in range(header.entry_count):
        fields = _ENTRY.unpack_from(array, index * header.entry_size)
        kind, unique, first, last, attributes, raw_name = fields
        if kind == bytes(16):
            continue
        if first < header.first_usable or last > header.last_usable:
            raise FormatError(f"partition {index + 1} lies outside of the usable area of the GPT")
        name = raw_name.decode("utf-16-le", "replace").split("\0", 1)[0]
        found.append(Partition(index + 1, UUID(bytes_le=kind), UUID(bytes_le=unique), first, last, attributes, name))
    return tuple(found)


def _check_table(table: Table) -> None:
    if table.sector_size not in SECTOR_SIZES:
        raise FormatError(f"a sector size of {table.sector_size} bytes is not possible, only 512 and 4096 are")
    numbers = [partition.number for partition in table.partitions]
    if len(set(numbers)) != len(numbers):
        raise FormatError("two partitions have the same number")
    if numbers and not 1 <= numbers[0] <= numbers[-1] <= table.entry_count:
        raise FormatError(f"partition numbers must lie between 1 and {table.entry_count}")
    for partition in table.partitions:
        if partition.first_lba > partition.last_lba:
            raise FormatError(f"partition {partition.number} ends before it begins")
        if (partition.last_lba + 1) * table.sector_size > table.disk_size:
            raise FormatError(f"partition {partition.number} lies beyond the end of the disk")
    for left, right in pairwise(table.by_start()):
        if right.first_lba <= left.last_lba:
            raise FormatError(f"partitions {left.number} and {right.number} overlap")


def _read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Up to `length` bytes from `offset`; fewer at the end of the stream."""
    if offset >= stream.seek(0, io.SEEK_END):
        return b""  # damaged fields lead anywhere, and files cannot seek to everywhere
    stream.seek(offset)
    parts = bytearray()
    while len(parts) < length and (part := stream.read(length - len(parts))):
        parts += part
    return bytes(parts)


def _array(table: Table) -> bytes:
    array = bytearray(table.entry_count * ENTRY_SIZE)
    for partition in table.partitions:
        if partition.first_lba < table.first_usable_lba or partition.last_lba > table.last_usable_lba:
            raise FormatError(f"partition {partition.number} overlaps the partition table itself")
        if partition.type_uuid == _NIL:
            raise FormatError(f"partition {partition.number} has no type")
        name = partition.name.encode("utf-16-le", "replace")
        if len(name) > 2 * NAME_CHARACTERS:
            raise FormatError(f"the name of partition {partition.number} is longer than {NAME_CHARACTERS} characters")
        fields = (partition.type_uuid.bytes_le, partition.uuid.bytes_le, partition.first_lba, partition.last_lba)
        at = (partition.number - 1) * ENTRY_SIZE
        _ENTRY.pack_into(array, at, *fields, partition.attributes, name)
    return bytes(array)


def _header(table: Table, array: bytes, *, my_lba: int, alternate_lba: int, entries_lba: int) -> bytes:
    """One header, padded to a sector."""

    def packed(crc: int) -> bytes:
        usable = (table.first_usable_lba, table.last_usable_lba)
        place = (my_lba, alternate_lba, *usable, table.disk_uuid.bytes_le, entries_lba)
        shape = (table.entry_count, ENTRY_SIZE, zlib.crc32(array))
        return _HEADER.pack(SIGNATURE, _REVISION, _HEADER.size, crc, 0, *place, *shape)

    if table.last_usable_lba < table.first_usable_lba:
        raise FormatError(f"a disk of {table.disk_size} bytes is too small for a GPT")
    return packed(zlib.crc32(packed(0))).ljust(table.sector_size, b"\0")


def _protective_mbr(table: Table) -> bytes:
    if len(table.boot_code) > BOOT_CODE:
        raise FormatError(f"boot code of {len(table.boot_code)} bytes does not fit before a partition table")
    mbr = bytearray(table.boot_code.ljust(table.sector_size, b"\0"))
    sectors = min(table.sectors - 1, 0xFFFFFFFF)
    # UEFI table 5-4: the entry starts at CHS 0/0/2 and ends as far as CHS reaches.
    _MBR_ENTRY.pack_into(mbr, _MBR_ENTRIES_AT, 0, b"\x00\x02\x00", _PROTECTIVE, b"\xff\xff\xff", 1, sectors)
    mbr[510:512] = b"\x55\xaa"
    return bytes(mbr)
