"""A filesystem that mke2fs has just made: room in it is given out from the front, figures and checksums kept right.

Whoever fills it takes blocks and inodes, writes blocks, and calls `finish` at the end, which writes bitmaps, group
descriptors and superblock. Until then the filesystem on disk is not valid.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from twinroot.errors import FormatError
from twinroot.formats.ext4 import BLOCK, INODE_SIZE, KNOWN
from twinroot.formats.ext4.checksum import INITIAL, crc32c, crc32c_columns
from twinroot.formats.ext4.directory import TAIL, TAIL_AT
from twinroot.formats.ext4.inode import CHECKSUM_HIGH, CHECKSUM_LOW, LINKS_AT
from twinroot.formats.write_behind import Data, WriteBehind

_SUPERBLOCK_AT = 1024
_DESCRIPTOR = struct.Struct("<IIIHHHHIHHHHIIIHHHHIHHI")
_INODE_UNINIT, _BLOCK_UNINIT = 1, 2
_CHECKSUM_SEED = 0x2000  # s_feature_incompat
# Directory blocks whose checksums are computed together, and bytes that are written together.
_BATCH = 1024
_BUFFER = 4 << 20
_ZEROS = memoryview(bytes(BLOCK))


class FullError(Exception):
    """The filesystem has no room, in blocks or in inodes."""


@dataclass
class _Group:
    """One block group. Bitmaps are numbers whose bit 0 is the first block or inode; None: not read yet."""

    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    flags: int
    directories: int
    free_blocks: int
    used: int | None = None
    inodes: bytearray = field(default_factory=bytearray)
    inodes_before: int = 0


class Volume:
    """The filesystem in an open file of mke2fs's. `behind` writes to the same file."""

    def __init__(self, descriptor: int, features: frozenset[str], behind: WriteBehind) -> None:
        if not features <= KNOWN:
            raise FormatError(f"ext4 features that are not known: {', '.join(sorted(features - KNOWN))}")
        self._fd, self._behind = descriptor, behind
        self._super = bytearray(os.pread(descriptor, 1024, _SUPERBLOCK_AT))
        self._inode_count, low = self._number("<I", 0), self._number("<I", 4)
        self._blocks = low | self._number("<I", 0x150) << 32
        self._per_group, self._inodes_per_group = self._number("<I", 32), self._number("<I", 40)
        seed = self._number("<I", 0x270) if self._number("<I", 96) & _CHECKSUM_SEED else None
        self.seed = crc32c(self._super[104:120]) if seed is None else seed
        self._groups = self._read_groups()
        self._metadata = self._metadata_runs()
        self._runs: Iterator[tuple[int, int]] = iter(())
        self._run = (0, 0)
        self._next_inode = 0
        self._first_inode = 0
        self._made = b""
        self._remade: set[int] = set()
        self._pending: list[tuple[int, int, bytearray]] = []
        # What is to be written: places in bytes and data; where the last of it ends; bytes in all.
        self._pieces: list[tuple[int, list[Data]]] = []
        self._end = self._collected = 0

    def begin(self, forget: tuple[int, ...]) -> None:
        """Start giving out room; the blocks `forget`, of directories that will be made anew, are free again."""
        for block in forget:
            group = self._groups[block // self._per_group]
            group.used = self._bitmap(block // self._per_group) & ~(1 << block % self._per_group)
        self._runs = self._free_runs()
        bitmap = os.pread(self._fd, BLOCK, self._groups[0].inode_bitmap * BLOCK)
        used = int.from_bytes(bitmap, "little") & (1 << self._inodes_per_group) - 1
        self._first_inode = used.bit_length()
        self._next_inode = self._first_inode + 1

    def inode_blocks(self, number: int) -> tuple[int, ...]:
        """The blocks of a directory that mke2fs made, which has one extent or a few."""
        raw = os.pread(self._fd, INODE_SIZE, self._groups[0].inode_table * BLOCK + (number - 1) * INODE_SIZE)
        count = struct.unpack_from("<H", raw, 42)[0]
        found: list[int] = []
        for index in range(count):
            _logical, length, high, low = struct.unpack_from("<IHHI", raw, 52 + 12 * index)
            first = high << 32 | low
            found += range(first, first + length)
        return tuple(found)

    def take(self, count: int) -> Iterator[tuple[int, int]]:
        """Runs of free blocks, `count` in all, as pairs of first block and length; FullError without room."""
        while count:
            start, length = self._run
            if not length:
                following = next(self._runs, None)
                if following is None:
                    raise FullError("blocks")
                self._run = following
                continue
            part = min(count, length)
            self._run = (start + part, length - part)
            self._mark(start, part)
            yield start, part
            count -= part

    def take_block(self) -> int:
        """One free block."""
        return next(self.take(1))[0]

    def take_inode(self) -> int:
        """The number of a free inode; FullError without one."""
        number = self._next_inode
        if number > self._inode_count:
            raise FullError("inodes")
        self._next_inode += 1
        return number

    def write(self, block: int, data: Data) -> None:
        """Write data, which is not to change any more, from a block on.

        It is collected first, what follows what came before as one piece with it.
        """
        if not self._pieces or block * BLOCK != self._end:
            self._pieces.append((block * BLOCK, []))
        parts = self._pieces[-1][1]
        parts.append(data)
        padding = -len(data) % BLOCK
        if padding:
            parts.append(_ZEROS[:padding])
        self._end = block * BLOCK + len(data) + padding
        self._collected += len(data) + padding
        if self._collected > _BUFFER:
            self._flush()

    def write_directory(self, block: int, inode: int, data: bytearray) -> None:
        """Write a block of a directory, with its checksum."""
        self._pending.append((block, inode, data))
        if len(self._pending) >= _BATCH:
            self._write_directories()

    def inode_seed(self, inode: int) -> int:
        """Where checksums of an inode's own blocks begin; generations are always 0."""
        return crc32c(struct.pack("<II", inode, 0), self.seed)

    def put_inode(self, number: int, data: bytes, *, directory: bool = False) -> None:
        """Set an inode; its checksum comes with `finish`."""
        group, index = divmod(number - 1, self._inodes_per_group)
        where = self._groups[group]
        end = (index + 1) * INODE_SIZE
        if not where.inodes and group == 0:
            # Those that mke2fs made stay as they are, save for the directories that are made anew.
            self._made = os.pread(self._fd, self._first_inode * INODE_SIZE, where.inode_table * BLOCK)
            where.inodes += self._made
        if number <= self._first_inode:
            self._remade.add(number)
        if len(where.inodes) < end:
            where.inodes += bytes(end - len(where.inodes))
        where.inodes[end - INODE_SIZE : end] = data
        if directory and number > self._first_inode:
            where.directories += 1

    def set_links(self, number: int, links: int) -> None:
        """Correct the number of links of an inode that was set."""
        group, index = divmod(number - 1, self._inodes_per_group)
        struct.pack_into("<H", self._groups[group].inodes, index * INODE_SIZE + LINKS_AT, links)

    def finish(self) -> None:
        """Write everything that was kept back, and make the filesystem valid."""
        self._write_directories()
        self._flush()
        self._behind.wait()
        for number, group in enumerate(self._groups):
            if group.inodes:
                self._write_inodes(number, group)
            if group.used is not None:
                bitmap = group.used.to_bytes(BLOCK, "little")
                os.pwrite(self._fd, bitmap, group.block_bitmap * BLOCK)
                group.free_blocks = BLOCK * 8 - group.used.bit_count()
                group.flags &= ~_BLOCK_UNINIT
            self._write_descriptor(number, group)
        self._write_superblock()

    def _number(self, kind: str, offset: int) -> int:
        return int(struct.unpack_from(kind, self._super, offset)[0])

    def _read_groups(self) -> list[_Group]:
        count = -(-self._blocks // self._per_group)
        size = self._number("<H", 254)
        if size != _DESCRIPTOR.size or self._number("<I", 24) != 2 or self._number("<H", 88) != INODE_SIZE:
            raise FormatError("an ext4 filesystem of a geometry that is not known")
        self._table = bytearray(os.pread(self._fd, count * size, BLOCK))
        groups = []
        for fields in _DESCRIPTOR.iter_unpack(self._table):
            groups.append(
                _Group(
                    fields[0] | fields[12] << 32,
                    fields[1] | fields[13] << 32,
                    fields[2] | fields[14] << 32,
                    fields[6],
                    fields[5] | fields[17] << 16,
                    fields[3] | fields[15] << 16,
                )
            )
        return groups

    def _metadata_runs(self) -> dict[int, list[tuple[int, int]]]:
        """For each group the runs of its blocks that hold bitmaps, tables, superblock and descriptors."""
        found: dict[int, list[tuple[int, int]]] = {}
        table = self._inodes_per_group * INODE_SIZE // BLOCK
        copies = 1 + -(-len(self._table) // BLOCK) + self._number("<H", 206)
        for number, group in enumerate(self._groups):
            runs = [(group.block_bitmap, 1), (group.inode_bitmap, 1), (group.inode_table, table)]
            if _has_superblock(number):
                runs.append((number * self._per_group, copies))
            for first, length in runs:
                # Nothing of this crosses into another group but tables, in filesystems with flexible groups.
                while length:
                    owner, inner = divmod(first, self._per_group)
                    part = min(length, self._per_group - inner)
                    found.setdefault(owner, []).append((inner, part))
                    first, length = first + part, length - part
        return found

    def _bitmap(self, number: int) -> int:
        """Which blocks of a group are in use, those beyond the end of the filesystem among them."""
        group = self._groups[number]
        if group.used is not None:
            return group.used
        if not group.flags & _BLOCK_UNINIT:
            return int.from_bytes(os.pread(self._fd, BLOCK, group.block_bitmap * BLOCK), "little")
        used = 0
        for first, length in self._metadata.get(number, []):
            used |= (1 << length) - 1 << first
        end = min(self._per_group, self._blocks - number * self._per_group)
        return used | (1 << BLOCK * 8) - (1 << end)

    def _free_runs(self) -> Iterator[tuple[int, int]]:
        for number in range(len(self._groups)):
            bits = format(self._bitmap(number), f"0{BLOCK * 8}b")[::-1]
            for found in re.finditer("0+", bits):
                yield number * self._per_group + found.start(), found.end() - found.start()

    def _mark(self, first: int, count: int) -> None:
        number, inner = divmod(first, self._per_group)
        group = self._groups[number]
        group.used = self._bitmap(number) | (1 << count) - 1 << inner

    def _flush(self) -> None:
        self._behind.write(self._pieces)
        self._pieces, self._collected = [], 0

    def _write_directories(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        joined = bytearray().join(data for _, _, data in pending)
        columns = (joined[place::BLOCK] for place in range(TAIL_AT))
        sums = crc32c_columns(columns, [self.inode_seed(inode) for _, inode, _ in pending])
        for (block, _, data), checksum in zip(pending, sums, strict=True):
            struct.pack_into("<I", data, TAIL_AT + TAIL.size - 4, checksum)
            self.write(block, data)

    def _write_inodes(self, number: int, group: _Group) -> None:
        self._sum_inodes(number, group)
        if number == 0:
            for index in range(self._first_inode):
                if index + 1 not in self._remade:
                    at = index * INODE_SIZE
                    group.inodes[at : at + INODE_SIZE] = self._made[at : at + INODE_SIZE]
        os.pwrite(self._fd, group.inodes, group.inode_table * BLOCK)
        group.flags &= ~_INODE_UNINIT

    def _sum_inodes(self, number: int, group: _Group) -> None:
        """Give every inode of a group its checksum: over its number, its generation and itself."""
        data = group.inodes
        count = len(data) // INODE_SIZE
        for place in (CHECKSUM_LOW, CHECKSUM_LOW + 1, CHECKSUM_HIGH, CHECKSUM_HIGH + 1):
            data[place::INODE_SIZE] = bytes(count)
        first = number * self._inodes_per_group + 1
        numbers = b"".join(struct.pack("<I", first + index) for index in range(count))
        generation = 100
        columns = [numbers[place::4] for place in range(4)]
        columns += [bytes(data[generation + place :: INODE_SIZE]) for place in range(4)]
        columns += [bytes(data[place::INODE_SIZE]) for place in range(INODE_SIZE)]
        for index, checksum in enumerate(crc32c_columns(columns, [self.seed] * count)):
            at = index * INODE_SIZE
            struct.pack_into("<H", data, at + CHECKSUM_LOW, checksum & 0xFFFF)
            struct.pack_into("<H", data, at + CHECKSUM_HIGH, checksum >> 16)

    def _write_descriptor(self, number: int, group: _Group) -> None:
        at = number * _DESCRIPTOR.size
        fields = list(_DESCRIPTOR.unpack_from(self._table, at))
        if group.used is not None:
            checksum = crc32c(group.used.to_bytes(BLOCK, "little")[: self._per_group // 8], self.seed)
            fields[8], fields[20] = checksum & 0xFFFF, checksum >> 16
            fields[3], fields[15] = group.free_blocks & 0xFFFF, group.free_blocks >> 16
        if group.inodes:
            self._inode_fields(fields, group)
        fields[5], fields[17] = group.directories & 0xFFFF, group.directories >> 16
        fields[6], fields[11] = group.flags, 0
        packed = _DESCRIPTOR.pack(*fields)
        fields[11] = crc32c(packed, crc32c(struct.pack("<I", number), self.seed)) & 0xFFFF
        self._table[at : at + _DESCRIPTOR.size] = _DESCRIPTOR.pack(*fields)

    def _inode_fields(self, fields: list[int], group: _Group) -> None:
        """Write a group's bitmap of inodes and set what its descriptor says of them: all are used up to the last."""
        used = len(group.inodes) // INODE_SIZE
        free = self._inodes_per_group - used
        bitmap = ((1 << BLOCK * 8) - (1 << self._inodes_per_group) | (1 << used) - 1).to_bytes(BLOCK, "little")
        os.pwrite(self._fd, bitmap, group.inode_bitmap * BLOCK)
        checksum = crc32c(bitmap[: self._inodes_per_group // 8], self.seed)
        fields[9], fields[21] = checksum & 0xFFFF, checksum >> 16
        fields[4], fields[16] = free & 0xFFFF, free >> 16
        fields[10], fields[18] = free & 0xFFFF, free >> 16

    def _write_superblock(self) -> None:
        os.pwrite(self._fd, self._table, BLOCK)
        free_blocks = sum(group.free_blocks for group in self._groups)
        free_inodes = self._inode_count - (self._next_inode - 1)
        struct.pack_into("<I", self._super, 12, free_blocks & 0xFFFFFFFF)
        struct.pack_into("<I", self._super, 0x158, free_blocks >> 32)
        struct.pack_into("<I", self._super, 16, free_inodes)
        struct.pack_into("<I", self._super, 0x3FC, crc32c(self._super[:0x3FC], INITIAL))
        os.pwrite(self._fd, self._super, _SUPERBLOCK_AT)


def _has_superblock(group: int) -> bool:
    """Whether a group holds a copy of superblock and descriptors (sparse_super): 0, 1, powers of 3, 5 and 7."""
    if group <= 1:
        return True
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return False
