"""Filling an ext4 filesystem from a directory tree, by our own hands.

`mke2fs -d` up to 1.47.2 drops fractions of seconds, follows the order in which the host lists a directory, so that the
same tree gives other bytes on another host, and searches a whole directory for each name that it adds. Here everything
goes in the order of names, once, and no privilege is needed.

The tree is walked by file descriptors, never by long paths, and no link in it is followed.
"""

from __future__ import annotations

import os
import stat
import struct
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from twinroot.errors import InputError
from twinroot.formats.ext4 import BLOCK, LOST_AND_FOUND, ROOT_INODE
from twinroot.formats.ext4.attributes import CHECKSUM_AT, TooLargeError, pack_attributes
from twinroot.formats.ext4.checksum import crc32c
from twinroot.formats.ext4.directory import directory_blocks
from twinroot.formats.ext4.inode import (
    MAX_LINKS,
    Content,
    ExtentList,
    device_content,
    extents_content,
    pack_inode,
    plain_content,
)
from twinroot.formats.ext4.volume import Volume
from twinroot.formats.write_behind import WriteBehind

_LOST_AND_FOUND = b"lost+found"
# Directories of it are made ahead, so that e2fsck finds room when it rescues files (mke2fs makes 16 KiB).
_LOST_AND_FOUND_BLOCKS = 4
# xfs shows access control lists a second time by names of its own.
_SHOWN_TWICE = "trusted.SGI_ACL_"
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
# Files of a directory that are open at a time, besides the one that is read.
_AHEAD = 32
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class _Directory:
    """A directory on the way from the root to the one that is looked at; `subdirectories` are still to be visited."""

    inode: int
    name: bytes
    subdirectories: list[tuple[bytes, int]] = field(default_factory=list)


def fill(image: Path, tree: Path, features: frozenset[str]) -> None:
    """Fill the empty filesystem in `image`, which mke2fs has just made with these features, from a tree.

    Raises volume.FullError when it does not fit, InputError naming what ext4 cannot hold. The image is not usable then.
    """
    descriptor = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        with WriteBehind(descriptor) as behind:
            volume = Volume(descriptor, features, behind)
            volume.begin((*volume.inode_blocks(ROOT_INODE), *volume.inode_blocks(LOST_AND_FOUND)))
            _Filler(volume).run(tree)
            volume.finish()
    finally:
        os.close(descriptor)


class _Filler:
    """One walk over one tree."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        # Files with several names: their inode and how many names were found so far.
        self._links: dict[tuple[int, int], list[int]] = {}
        self._above: list[_Directory] = []

    def run(self, tree: Path) -> None:
        """Store the tree."""
        here = os.open(tree, _FLAGS | os.O_DIRECTORY)
        try:
            self._above.append(_Directory(ROOT_INODE, b""))
            self._list(here, parent=ROOT_INODE)
            while self._above:
                current = self._above[-1]
                if current.subdirectories:
                    name, inode = current.subdirectories.pop()
                    self._above.append(_Directory(inode, name))
                    below = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=here)
                    here, done = below, here
                    os.close(done)
                    self._list(here, parent=current.inode)
                else:
                    self._above.pop()
                    if self._above:
                        # No other process has a hand in the tree, so that this is where we came from.
                        above = os.open("..", _FLAGS | os.O_DIRECTORY, dir_fd=here)
                        here, done = above, here
                        os.close(done)
        finally:
            os.close(here)
        for inode, count in self._links.values():
            self._volume.set_links(inode, count)

    def _list(self, here: int, parent: int) -> None:
        """Store one directory and the files in it, and note the directories in it."""
        directory = self._above[-1]
        status = os.fstat(here)  # before it is read, which counts as access
        with os.scandir(here) as listing:
            found = sorted((os.fsencode(entry.name), entry.stat(follow_symlinks=False)) for entry in listing)
        entries = []
        with closing(_opened(here, found)) as opened:
            for name, child, file in opened:
                inode = self._child(here, name, child, file)
                entries.append((name, inode, child.st_mode))
        if directory.inode == ROOT_INODE and all(name != _LOST_AND_FOUND for name, _ in found):
            entries.append((_LOST_AND_FOUND, LOST_AND_FOUND, stat.S_IFDIR))
            self._lost_and_found(status)
        directory.subdirectories.reverse()
        below = sum(stat.S_ISDIR(mode) for _, _, mode in entries)
        # A directory with too many others in it has a count of 1 (dir_nlink).
        links = below + 2 if below + 2 < MAX_LINKS else 1
        self._store_directory(directory.inode, parent, entries, status, links, self._attributes(here, b"", status))

    def _lost_and_found(self, root: os.stat_result) -> None:
        """The directory that every ext4 filesystem has: root's alone, with the times of the root directory."""
        fields = list(root)
        fields[0], fields[4], fields[5] = stat.S_IFDIR | 0o700, 0, 0
        named = {"st_atime_ns": root.st_mtime_ns, "st_mtime_ns": root.st_mtime_ns}
        self._store_directory(LOST_AND_FOUND, ROOT_INODE, [], os.stat_result(fields, named), 2, {})

    def _store_directory(
        self,
        inode: int,
        parent: int,
        entries: list[tuple[bytes, int, int]],
        status: os.stat_result,
        links: int,
        attributes: dict[str, bytes],
    ) -> None:
        at_least = _LOST_AND_FOUND_BLOCKS if inode == LOST_AND_FOUND else 1
        blocks = directory_blocks(entries, inode, parent, at_least)
        extents, done = ExtentList(), 0
        for start, count in self._volume.take(len(blocks)):
            extents.add(done, start, count)
            for index in range(count):
                self._volume.write_directory(start + index, inode, blocks[done + index])
            done += count
        content = self._extents(inode, extents, len(blocks) * BLOCK)
        self._store(inode, status, links, content, attributes)

    def _child(self, here: int, name: bytes, status: os.stat_result, file: int) -> int:
        """The inode number of an entry; everything but directories is stored at once. `file`: a regular file, open."""
        mode = status.st_mode
        special = len(self._above) == 1 and name == _LOST_AND_FOUND
        if stat.S_ISDIR(mode):
            inode = LOST_AND_FOUND if special else self._volume.take_inode()
            self._above[-1].subdirectories.append((name, inode))
            return inode
        if special:
            raise InputError("/lost+found of the image is not a directory, which ext4 wants it to be")
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in self._links:
            known = self._links[key]
            known[1] += 1
            if known[1] > MAX_LINKS:
                raise self._refused(name, f"it has more than {MAX_LINKS} names")
            return known[0]
        inode = self._volume.take_inode()
        if status.st_nlink > 1:
            self._links[key] = [inode, 1]
        self._file(here, name, status, inode, file)
        return inode

    def _file(self, here: int, name: bytes, status: os.stat_result, inode: int, file: int) -> None:
        mode = status.st_mode
        if stat.S_ISREG(mode):
            content = self._data(file, inode, name)
            self._store(inode, status, 1, content, self._attributes(file, b"", status))
            return
        if stat.S_ISLNK(mode):
            content = self._link(os.readlink(name, dir_fd=here), inode)
        elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            content = device_content(status.st_rdev)
        else:
            content = plain_content(mode)
        self._store(inode, status, 1, content, self._attributes(here, name, status))

    def _link(self, target: bytes, inode: int) -> Content:
        if len(target) < 60:
            return plain_content(stat.S_IFLNK, target)
        extents = ExtentList()
        block = self._volume.take_block()
        self._volume.write(block, target)
        extents.add(0, block, 1)
        return self._extents(inode, extents, len(target))

    def _data(self, file: int, inode: int, name: bytes) -> Content:
        """Copy the data of a file. Holes, and blocks of nothing but zeros, stay holes."""
        extents, size = ExtentList(), os.fstat(file).st_size
        if size > BLOCK << 32:
            raise self._refused(name, "it is larger than 16 TiB")
        for offset, chunk in _chunks(file, size):
            for start, end in _filled(chunk):
                piece = memoryview(chunk)[start:end]
                logical = (offset + start) // BLOCK
                for block, count in self._volume.take(-(-len(piece) // BLOCK)):
                    extents.add(logical, block, count)
                    self._volume.write(block, piece[: count * BLOCK])
                    piece, logical = piece[count * BLOCK :], logical + count
        return self._extents(inode, extents, size)

    def _extents(self, inode: int, extents: ExtentList, size: int) -> Content:
        def write(block: int, node: bytes) -> None:
            checksum = crc32c(node, self._volume.inode_seed(inode))
            self._volume.write(block, node + struct.pack("<I", checksum))

        return extents_content(extents.extents, size, self._volume.take_block, write)

    def _store(
        self, inode: int, status: os.stat_result, links: int, content: Content, attributes: dict[str, bytes]
    ) -> None:
        body, outside = b"", b""
        if attributes:
            body, outside = self._packed(attributes, inode)
        block = 0
        if outside:
            block = self._volume.take_block()
            checksum = crc32c(outside, crc32c(struct.pack("<Q", block), self._volume.seed))
            field = struct.pack("<I", checksum)
            self._volume.write(block, outside[:CHECKSUM_AT] + field + outside[CHECKSUM_AT + 4 :])
        packed = pack_inode(status, links, content, body, block)
        self._volume.put_inode(inode, packed, directory=stat.S_ISDIR(status.st_mode))

    def _packed(self, attributes: dict[str, bytes], inode: int) -> tuple[bytes, bytes]:
        try:
            return pack_attributes(attributes)
        except TooLargeError as error:
            raise self._refused(b"", "a file here has attributes of more than 4 KiB") from error
        except KeyError as error:
            raise self._refused(
                b"", f"a file here has the attribute {error.args[0]}, which ext4 does not know"
            ) from error

    def _attributes(self, descriptor: int, name: bytes, status: os.stat_result) -> dict[str, bytes]:
        """Attributes of an open file, or of an entry of an open directory."""
        target: int | bytes = b"/proc/self/fd/%d/%s" % (descriptor, name) if name else descriptor
        follow = not name
        names = os.listxattr(target, follow_symlinks=follow)
        found = {}
        for attribute in names:
            if attribute.startswith(_SHOWN_TWICE):
                continue
            # One that only shows in the list is none of the file's own, such as a label of the host's policy.
            with suppress(OSError):
                found[attribute] = os.getxattr(target, attribute, follow_symlinks=follow)
        return found

    def _refused(self, name: bytes, reason: str) -> InputError:
        path = b"/".join([*(directory.name for directory in self._above), name])
        shown = (path.decode("utf-8", "replace") or "/").encode("utf-8", "replace").decode()
        return InputError(f"{shown} cannot be stored on an ext4 filesystem: {reason}")


def _opened(
    here: int, found: Sequence[tuple[bytes, os.stat_result]]
) -> Generator[tuple[bytes, os.stat_result, int], None, None]:
    """The entries of a directory, with a descriptor for each regular file (else -1), open until the next entry.

    The kernel is told of files some entries before they are read: in a base image behind a loop device, waiting for one
    small file after the other takes as long as everything else.
    """
    files: deque[int] = deque()
    opened = 0
    try:
        for index, (name, status) in enumerate(found):
            while opened < len(found) and opened <= index + _AHEAD:
                files.append(_open_ahead(here, *found[opened]))
                opened += 1
            yield name, status, files[0]
            _close(files.popleft())
    finally:
        for file in files:
            _close(file)


def _open_ahead(here: int, name: bytes, status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        return -1
    file = os.open(name, _FLAGS, dir_fd=here)
    if status.st_size:
        os.posix_fadvise(file, 0, _CHUNK, os.POSIX_FADV_WILLNEED)
    return file


def _close(file: int) -> None:
    if file >= 0:
        os.close(file)


def _chunks(file: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The data of a file in pieces that begin at whole blocks, holes left out."""
    offset = 0
    while offset < size:
        if size > BLOCK:
            try:
                offset = os.lseek(file, offset, os.SEEK_DATA) // BLOCK * BLOCK
            except OSError:
                return  # ENXIO: only a hole is left
        # No more than there is: small files are many, and a large buffer for each takes time.
        chunk = os.pread(file, min(_CHUNK, size - offset), offset)
        if offset + len(chunk) < size:
            os.posix_fadvise(file, offset + _CHUNK, _CHUNK, os.POSIX_FADV_WILLNEED)
        if not chunk:
            return
        yield offset, chunk
        offset += len(chunk)


def _filled(chunk: bytes) -> Iterator[tuple[int, int]]:
    """The runs of blocks in a chunk that hold anything but zeros, as pairs of first byte and end."""
    start = None
    for at in range(0, len(chunk), BLOCK):
        # Most blocks begin with something, which is seen without copying them.
        if not chunk[at] and (part := chunk[at : at + BLOCK]) == _ZEROS[: len(part)]:
            if start is not None:
                yield start, at
                start = None
        elif start is None:
            start = at
    if start is not None:
        yield start, len(chunk)
