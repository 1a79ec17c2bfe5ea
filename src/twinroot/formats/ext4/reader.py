"""An ext2/3/4 filesystem as files: its tree, and the data of every file. Read-only, bounded, in memory a few MiB.

A journal that was not replayed is not looked at, as debugfs does. Nothing is trusted: a directory that is its own
child, blocks beyond the end, trees of extents without end are FormatErrors, never endless work.
"""

from __future__ import annotations

import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from twinroot.errors import FormatError
from twinroot.formats.ext4 import layout, xattrs
from twinroot.formats.ext4.layout import Extent, Inode

ReadAt = Callable[[int, int], bytes]

_CACHED_BLOCKS = 1024
_MOST_NODES = 1 << 20  # extent or pointer blocks of one file: more than a file of 4 TiB can need
_MOST_ENTRIES = 1 << 24
_DEEPEST = 2048
_STEP = 1 << 20  # bytes that are read at once


@dataclass(frozen=True)
class Found:
    """A name in the tree: its absolute path (undecodable bytes as surrogates) and its inode."""

    path: str
    inode: Inode


class Ext4:
    """A filesystem of `length` bytes behind `read_at`, which gives `size` bytes at an offset, fewer at the end."""

    def __init__(self, read_at: ReadAt, length: int) -> None:
        self._read_at = read_at
        self.superblock = layout.parse_superblock(read_at(layout.SUPERBLOCK_OFFSET, layout.SUPERBLOCK_SIZE))
        if self.superblock.blocks * self.superblock.block_size > length:
            raise FormatError("the ext filesystem is larger than what holds it")
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._tables: dict[int, int] = {}
        self._claimed: dict[int, int] = {}
        self._total = 0

    def walk(self) -> Iterator[Found]:
        """Every name below the root, and the root itself as `/`, sorted within each directory, parents first."""
        seen = {layout.ROOT_INODE}
        root = self.inode(layout.ROOT_INODE)
        yield Found("/", root)
        open_directories = [("", iter(self.entries(root)))]
        count = 0
        while open_directories:
            prefix, entries = open_directories[-1]
            found = next(entries, None)
            if found is None:
                open_directories.pop()
                continue
            number, name = found
            count += 1
            inode = self.inode(number)
            path = f"{prefix}/{name.decode('utf-8', 'surrogateescape')}"
            yield Found(path, inode)
            if stat.S_ISDIR(inode.mode):
                if number in seen or len(open_directories) >= _DEEPEST or count > _MOST_ENTRIES:
                    raise FormatError(f"the directory tree is damaged at {path!r}")
                seen.add(number)
                open_directories.append((path, iter(self.entries(inode))))

    def inode(self, number: int) -> Inode:
        """An inode by its number; FormatError when there is none."""
        body_offset = self.inode_offset(number)
        size = self.superblock.block_size
        block, within = divmod(body_offset, size)
        body = self._block(block)[within : within + self.superblock.inode_size]
        return layout.parse_inode(number, body)

    def inode_offset(self, number: int) -> int:
        """Where an inode lies, in bytes."""
        found = self.superblock
        if not 1 <= number <= found.inodes:
            raise FormatError(f"there is no inode {number}")
        group, index = divmod(number - 1, found.inodes_per_group)
        return self._inode_table(group) * found.block_size + index * found.inode_size

    def entries(self, directory: Inode) -> list[tuple[int, bytes]]:
        """Inode numbers and names of a directory, sorted by name."""
        found: list[tuple[int, bytes]] = []
        if directory.flags & layout.INODE_INLINE:
            # The first four bytes are the number of the parent; the rest of the space may go on in an attribute.
            for part in (directory.block[4:], self._inline_rest(directory)):
                found += layout.directory_entries(part)
        else:
            size, covered = self.superblock.block_size, 0
            for extent in self.extents(directory):
                for block in range(extent.physical, extent.physical + extent.count):
                    if extent.written:
                        found += layout.directory_entries(self._block(block))
                        covered += size
                    if len(found) > _MOST_ENTRIES:
                        raise FormatError(f"the directory in inode {directory.number} has no end")
            if covered < directory.size:
                raise FormatError(f"the directory in inode {directory.number} is damaged")
        found.sort(key=lambda entry: entry[1])
        if any(one[1] == other[1] for one, other in pairwise(found)):
            raise FormatError(f"the directory in inode {directory.number} has the same name twice")
        return found

    def runs(self, inode: Inode) -> Iterator[tuple[int, bytes]]:
        """The data of a file or symbolic link: offsets, ascending, and bytes, at most 1 MiB each; holes left out."""
        if inode.flags & layout.INODE_INLINE:
            data = (inode.block + self._inline_rest(inode))[: inode.size]
            if len(data) < inode.size:
                raise FormatError(f"inode {inode.number} is shorter than it says")
            yield 0, data
        elif stat.S_ISLNK(inode.mode) and inode.size < 60 and not self._has_blocks(inode):
            yield 0, inode.block[: inode.size]
        else:
            yield from self._mapped_runs(inode)

    def read(self, inode: Inode, most: int = 1 << 20) -> bytes:
        """The whole content of a small file or link; FormatError when it is larger than `most` bytes."""
        if inode.size > most:
            raise FormatError(f"inode {inode.number} is larger than {most} bytes")
        content = bytearray(inode.size)
        for offset, data in self.runs(inode):
            content[offset : offset + len(data)] = data
        return bytes(content)

    def attributes(self, inode: Inode) -> dict[str, bytes]:
        """The extended attributes by name."""
        found = dict(xattrs.inode_attributes(inode.body, self._value))
        if inode.xattr_block:
            found |= xattrs.block_attributes(self._block(inode.xattr_block), self._value)
        found.pop(xattrs.INLINE_DATA, None)
        return dict(sorted(found.items()))

    def extents(self, inode: Inode) -> Iterator[Extent]:
        """The blocks of a file in ascending order, none beyond its end (directories: all of them)."""
        mapped = self._tree(inode.block) if inode.flags & layout.INODE_EXTENTS else self._pointers(inode)
        end = total = 0
        for extent in mapped:
            total += extent.count
            inside = 0 < extent.physical <= self.superblock.blocks - extent.count
            if extent.logical < end or not inside or total > self.superblock.blocks:
                raise FormatError(f"the blocks of inode {inode.number} are damaged")
            end = extent.logical + extent.count
            self._claim(inode, total)
            yield extent

    def _claim(self, inode: Inode, blocks: int) -> None:
        """A block belongs to one file only: all of them together have no more than there are.

        Otherwise a small image could hold any number of files as large as itself, which would take for ever to read.
        """
        known = self._claimed.get(inode.number, 0)
        if blocks > known:
            self._claimed[inode.number] = blocks
            self._total += blocks - known
            if self._total > self.superblock.blocks:
                raise FormatError(f"the blocks of inode {inode.number} belong to other files too")

    def _mapped_runs(self, inode: Inode) -> Iterator[tuple[int, bytes]]:
        size = self.superblock.block_size
        for extent in self.extents(inode):
            if not extent.written:
                continue
            start = extent.logical * size
            stop = min(start + extent.count * size, inode.size)
            for offset in range(start, stop, _STEP):
                wanted = min(_STEP, stop - offset)
                yield offset, self._bytes(extent.physical * size + offset - start, wanted)

    def _tree(self, root: bytes) -> Iterator[Extent]:
        """The leaves of an extent tree, left to right."""
        top = layout.parse_extent_node(root, None)
        stack, nodes = [top], 0
        while stack:
            node = stack.pop()
            yield from node.extents
            below = []
            for block in node.children:
                nodes += 1
                if nodes > _MOST_NODES:
                    raise FormatError("an extent tree has no end")
                # The last bytes of a block are its checksum, not an entry.
                below.append(layout.parse_extent_node(self._block(block)[:-4], node.depth - 1))
            stack += reversed(below)

    def _pointers(self, inode: Inode) -> Iterator[Extent]:
        """The block map of ext2: twelve blocks, then blocks of pointers, of pointers to those, and once more."""
        pointers = memoryview(inode.block).cast("B")
        numbers = [int.from_bytes(pointers[i : i + 4], "little") for i in range(0, 60, 4)]
        count = -(-inode.size // self.superblock.block_size)
        logical, nodes = 0, [0]
        for number in numbers[:12]:
            if logical < count and number:
                yield Extent(logical, 1, number)
            logical += 1
        for level, number in enumerate(numbers[12:], 1):
            if logical < count:
                yield from self._indirect(number, level, logical, count, nodes)
            logical += (self.superblock.block_size // 4) ** level

    def _indirect(self, number: int, level: int, logical: int, count: int, nodes: list[int]) -> Iterator[Extent]:
        if not number:
            return
        nodes[0] += 1
        if nodes[0] > _MOST_NODES:
            raise FormatError("a block map has no end")
        step = (self.superblock.block_size // 4) ** (level - 1)
        data = self._block(number)
        for index in range(len(data) // 4):
            at = logical + index * step
            below = int.from_bytes(data[4 * index : 4 * index + 4], "little")
            if at >= count:
                return
            if below and level == 1:
                yield Extent(at, 1, below)
            elif below:
                yield from self._indirect(below, level - 1, at, count, nodes)

    def _has_blocks(self, inode: Inode) -> bool:
        return bool(inode.flags & layout.INODE_EXTENTS)

    def _inline_rest(self, inode: Inode) -> bytes:
        found = dict(xattrs.inode_attributes(inode.body, self._value))
        return found.get(xattrs.INLINE_DATA, b"")

    def _value(self, number: int, size: int) -> bytes:
        return self.read(self.inode(number), size)

    def _inode_table(self, group: int) -> int:
        if group not in self._tables:
            found = self.superblock
            per_block = found.block_size // found.descriptor_size
            index, within = divmod(group, per_block)
            data = self._block(self._descriptor_block(index))
            start = within * found.descriptor_size
            table = layout.parse_inode_table(data[start : start + found.descriptor_size])
            blocks = -(-found.inodes_per_group * found.inode_size // found.block_size)
            if not 0 < table <= found.blocks - blocks:
                raise FormatError(f"the inode table of group {group} is outside of the filesystem")
            self._tables[group] = table
        return self._tables[group]

    def _descriptor_block(self, index: int) -> int:
        found = self.superblock
        if not found.incompatible & layout.META_BG or index < found.first_meta_group:
            return found.first_data_block + 1 + index
        # With meta_bg each group of groups has its descriptors at its own beginning, behind a copy of the superblock.
        group = index * (found.block_size // found.descriptor_size)
        first = found.first_data_block + group * found.blocks_per_group
        return first + (1 if _has_superblock(group, sparse=found.sparse_super) else 0)

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        if not 0 < number < self.superblock.blocks and not (number == 0 and self.superblock.block_size > 1024):
            raise FormatError(f"block {number} is outside of the filesystem")
        data = self._bytes(number * self.superblock.block_size, self.superblock.block_size)
        self._blocks[number] = data
        if len(self._blocks) > _CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return data

    def _bytes(self, offset: int, size: int) -> bytes:
        data = self._read_at(offset, size)
        if len(data) < size:
            raise FormatError("the ext filesystem is cut off")
        return data


def _has_superblock(group: int, *, sparse: bool) -> bool:
    """Group 0, 1 and powers of 3, 5 and 7; every group without sparse_super."""
    if group <= 1 or not sparse:
        return True
    return any(_is_power(group, base) for base in (3, 5, 7))


def _is_power(number: int, base: int) -> bool:
    while number > 1 and number % base == 0:
        number //= base
    return number == 1
