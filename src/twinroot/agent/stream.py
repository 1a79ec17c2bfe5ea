"""Bringing the image of a COSI file onto a partition: only what differs is written, and checks come before trust.

    compressed bytes ─▶ SHA-384, frames found ─▶ zstd ─▶ compare with what is there ─▶ write ─▶ sync
                           (this thread)           (workers, a frame each)              (this thread)

The partition holds a valid image only after `write_image` has returned: that hash and length are right is known last.

What is written goes past the kernel's cache where the target can do that: no time goes into copies, the disk works all
the while, and a machine that is serviced keeps in its memory what it uses.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import FormatError, HostError, NoSpaceError
from twinroot.formats.cosi.model import ImageFile
from twinroot.formats.cosi.reader import CosiFile
from twinroot.formats.zstd_reader import Piece
from twinroot.units import KIB, MIB

_STEP = MIB
# What differs is narrowed down to this: fewer bytes written, and no more of them than a flash page or two.
_GRAIN = 64 * KIB
_ZEROS = memoryview(mmap.mmap(-1, _STEP, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
# A step whose first, middle and last grain all differ is written unread: a partition that holds something else is not
# read in vain. Shorter ones than this are read at once.
_WORTH_A_LOOK = 8 * _GRAIN
_BEHIND_ALL = 2**63
# What goes past the cache begins and ends on a page; no disk asks for more (open(2), O_DIRECT).
_PAGE = 4 * KIB


@dataclass(frozen=True)
class Written:
    """How many bytes of a partition were written, and how many were right already."""

    written: int
    kept: int


def write_image(
    cosi: CosiFile, image: ImageFile, target: Path, *, advance: Callable[[int], None] = lambda _done: None
) -> Written:
    """Make the beginning of a partition (or file) the contents of an image, and sync it.

    `advance` hears how many bytes of the contents are done. Raises FormatError when the image is damaged or too large
    for the target, HostError when the target cannot be written. After any error the target holds a mixture.
    """
    with _opened(target) as (fd, direct):
        room = os.lseek(fd, 0, os.SEEK_END)
        if image.uncompressed_size > room:
            raise FormatError(
                f"'{image.path}' holds {image.uncompressed_size} bytes, but {target} has only {room}",
                where=cosi.name,
                hint="make the partition larger",
            )
        done = written = 0
        # Closed before the descriptor is, so that no worker writes to another file of that number.
        with closing(cosi.process(image, _Target(fd, direct).make_equal)) as parts:
            for part in parts:
                done, written = done + part.written + part.kept, written + part.written
                advance(done)
        os.fsync(fd)
        return Written(written, done - written)


@contextmanager
def _opened(target: Path) -> Iterator[tuple[int, int | None]]:
    """The target, open for reading and writing, and for writing past the cache; what goes wrong is a HostError."""
    with ExitStack() as opened:
        try:
            fd = os.open(target, os.O_RDWR | os.O_CLOEXEC)
            opened.callback(os.close, fd)
            direct = _open_direct(target)
            if direct is not None:
                opened.callback(os.close, direct)
            yield fd, direct
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise NoSpaceError("there is no room left", where=str(target)) from error
            hint = "look for faults of the disk with dmesg" if error.errno == errno.EIO else None
            raise HostError(error.strerror or str(error), where=str(target), hint=hint) from error


def _open_direct(target: Path) -> int | None:
    try:
        return os.open(target, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return None


class _Target:
    """What is written to. Several threads may use it at once, for different places."""

    def __init__(self, fd: int, direct: int | None) -> None:
        self._fd, self._direct = fd, direct
        self._local = threading.local()

    def make_equal(self, pieces: Iterator[Piece]) -> Written:
        """Have the target hold pieces that follow each other; only the stretches that differ are written."""
        start, length, written = None, 0, 0
        for piece in pieces:
            start = piece.offset if start is None else start
            length += piece.length
            written += self._write(piece)
        if start is not None and written:
            # Has the kernel write while we decode, so that little is left for the sync. Only a wish.
            os.posix_fadvise(self._fd, start, length, os.POSIX_FADV_DONTNEED)
        return Written(written, length - written)

    def _write(self, piece: Piece) -> int:
        """Write what differs; how many bytes that were."""
        end = piece.offset + piece.length
        if piece.data is None:
            runs = _data_runs(self._fd, piece.offset, end)
            return sum(self._step(_ZEROS[:length], offset) for offset, length in runs)
        if _next_data(self._fd, piece.offset) >= end:
            return self._pwrite(piece.data, piece.offset)  # over a hole: no grain of a piece of data is zero
        steps = range(0, piece.length, _STEP)
        return sum(self._step(piece.data[at : at + _STEP], piece.offset + at) for at in steps)

    def _step(self, wanted: memoryview, offset: int) -> int:
        length = len(wanted)
        if length >= _WORTH_A_LOOK:
            looks = (0, length // 2, length - _GRAIN)
            if not any(self._is_there(wanted[at : at + _GRAIN], offset + at) for at in looks):
                return self._pwrite(wanted, offset)
        if self._is_there(wanted, offset):
            return 0
        runs = _differing(wanted, self._found())
        return sum(self._pwrite(wanted[start:end], offset + start) for start, end in runs)

    def _found(self) -> bytearray:
        """What this thread has read last, at its beginning."""
        if not hasattr(self._local, "found"):
            self._local.found = bytearray(_STEP)
        found: bytearray = self._local.found
        return found

    def _is_there(self, wanted: memoryview, offset: int) -> bool:
        """Whether the target holds `wanted`; `_found` begins with what it holds afterwards."""
        found, length = self._found(), len(wanted)
        view = memoryview(found)[:length]
        while view:
            done = os.preadv(self._fd, [view], offset)
            if not done:
                raise OSError(errno.EIO, "became smaller while it was written")
            view, offset = view[done:], offset + done
        # A bytearray on the left side compares at the speed of memory, a memoryview there byte by byte.
        return (found if length == _STEP else found[:length]) == wanted

    def _pwrite(self, data: memoryview, offset: int) -> int:
        length = len(data)
        while data:
            done = self._past_the_cache(data, offset) or os.pwrite(self._fd, data, offset)
            data, offset = data[done:], offset + done
        return length

    def _past_the_cache(self, data: memoryview, offset: int) -> int:
        """How much was written in this way: nothing where the target or the place of the data in memory forbids it."""
        pages = len(data) - len(data) % _PAGE
        if self._direct is None or not pages or offset % _PAGE:
            return 0
        try:
            return os.pwrite(self._direct, data[:pages], offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return 0


def _differing(wanted: memoryview, found: bytearray) -> Iterator[tuple[int, int]]:
    """The stretches in which two contents differ, in grains from the first byte on."""
    start = None
    for at in range(0, len(wanted), _GRAIN):
        end = min(at + _GRAIN, len(wanted))
        same = found[at:end] == wanted[at:end]
        if same and start is not None:
            yield start, at
            start = None
        elif not same and start is None:
            start = at
    if start is not None:
        yield start, len(wanted)


def _data_runs(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Steps of up to 1 MiB within a stretch that may hold anything but zeros; holes of a file are left out."""
    position = _next_data(fd, start)
    while position < end:
        length = min(_STEP - position % _STEP, end - position)
        yield position, length
        position = _next_data(fd, position + length)


def _next_data(fd: int, position: int) -> int:
    """Where the next byte is that is not in a hole of a file; `_BEHIND_ALL` if only a hole is left."""
    try:
        return os.lseek(fd, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return _BEHIND_ALL
        if not stat.S_ISBLK(os.fstat(fd).st_mode):
            raise
        return position
