"""Bringing the image of a COSI file onto a partition: only what differs is written, and checks come before trust.

    compressed bytes ─▶ SHA-384, frames found ─▶ zstd ─▶ compare with what is there ─▶ write ─▶ sync
                           (this thread)           (workers, a frame each)              (this thread)

The partition holds a valid image only after `write_image` has returned: that hash and length are right is known last.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinroot.agent.direct_file import DirectFile
from twinroot.errors import FormatError, HostError, NoSpaceError
from twinroot.formats.cosi.model import ImageFile
from twinroot.formats.cosi.reader import CosiFile
from twinroot.formats.reused_memory import PAGE, page_memory
from twinroot.formats.zstd_reader import Piece
from twinroot.units import KIB, MIB, round_up

_STEP = MIB
# What differs is narrowed down to this: fewer bytes written, and no more of them than a flash page or two.
_GRAIN = 64 * KIB
_ZEROS = memoryview(page_memory(_STEP + PAGE))
# A step whose first, middle and last grain all differ is written unread: a partition that holds something else is not
# read in vain. Shorter ones than this are read at once.
_WORTH_A_LOOK = 8 * _GRAIN
# Zeros that a target may have to make by itself are worth the asking from here on.
_LONG = MIB
_BEHIND_ALL = 2**63


@dataclass(frozen=True)
class Written:
    """How many bytes of a partition were written, and how many were right already."""

    written: int
    kept: int


def write_image(
    cosi: CosiFile,
    image: ImageFile,
    target: Path,
    *,
    start: int = 0,
    size: int | None = None,
    unread_zeros: bool = False,
    advance: Callable[[int], None] = lambda _done: None,
) -> Written:
    """Make a partition (or file) begin with the contents of an image, and sync it.

    `start` and `size`, in bytes, are where on the target the partition lies; without, it is the whole target. With
    `unread_zeros` long zeros are not looked for on a target that can make them by itself: they count as written.
    `advance` hears how many bytes of the contents are done. Raises FormatError when the image is damaged or too large
    for the target, HostError when the target cannot be written. After any error the target holds a mixture.
    """
    with _opened(target) as fd, DirectFile(fd) as file:
        room = os.lseek(fd, 0, os.SEEK_END) - start if size is None else size
        if image.uncompressed_size > room:
            raise FormatError(
                f"'{image.path}' holds {image.uncompressed_size} bytes, but {target} has only {room}",
                where=cosi.name,
                hint="make the partition larger",
            )
        done = written = 0
        # Closed before the descriptors are, so that no worker writes to another file of that number.
        place = _Target(fd, file, start, unread_zeros=unread_zeros)
        with closing(cosi.process(image, place.make_equal)) as parts:
            for part in parts:
                done, written = done + part.written + part.kept, written + part.written
                advance(done)
        file.sync()
        return Written(written, done - written)


def clear(target: Path, start: int, length: int) -> None:
    """Make a stretch of a disk (or file) zeros, and sync it; HostError when it cannot be written."""
    with _opened(target) as fd, DirectFile(fd) as file:
        _Target(fd, file, start, unread_zeros=True).make_equal(iter([Piece(0, length, None)]))
        file.sync()


@contextmanager
def _opened(target: Path) -> Iterator[int]:
    """The target, open for reading and writing; what goes wrong with it is a HostError."""
    try:
        fd = os.open(target, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NoSpaceError("there is no room left", where=str(target)) from error
        hint = "look for faults of the disk with dmesg" if error.errno == errno.EIO else None
        raise HostError(error.strerror or str(error), where=str(target), hint=hint) from error


class _Target:
    """What is written to, from the byte `start` on. Several threads may use it at once, for different places."""

    def __init__(self, fd: int, file: DirectFile, start: int, *, unread_zeros: bool) -> None:
        self._fd, self._file, self._start, self._unread_zeros = fd, file, start, unread_zeros
        self._local = threading.local()

    def make_equal(self, pieces: Iterator[Piece]) -> Written:
        """Have the target hold pieces that follow each other; only the stretches that differ are written."""
        length = written = 0
        for piece in pieces:
            length += piece.length
            written += self._write(piece)
        return Written(written, length - written)

    def _write(self, piece: Piece) -> int:
        """Write what differs; how many bytes that were."""
        start = self._start + piece.offset
        end = start + piece.length
        if piece.data is None:
            return self._write_zeros(start, end)
        if _next_data(self._fd, start) >= end:
            return self._pwrite(piece.data, start)  # over a hole: no grain of a piece of data is zero
        steps = range(0, piece.length, _STEP)
        return sum(self._step(piece.data[at : at + _STEP], start + at) for at in steps)

    def _write_zeros(self, start: int, end: int) -> int:
        first, last = round_up(start, PAGE), end // PAGE * PAGE
        if self._unread_zeros and last - first >= _LONG and self._has_zeroed(first, last):
            return self._write_zeros(start, first) + (last - first) + self._write_zeros(last, end)
        runs = _data_runs(self._fd, start, end)
        return sum(self._step(_ZEROS[offset % PAGE :][:length], offset) for offset, length in runs)

    def _has_zeroed(self, start: int, end: int) -> bool:
        """Whether the target has made whole pages zeros by itself; it is believed when some of them are."""
        if not self._file.zero_out(start, end - start):
            return False
        looks = (start, start + (end - start) // (2 * PAGE) * PAGE, end - _GRAIN)
        return all(self._is_there(_ZEROS[:_GRAIN], at) for at in looks)

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

    def _found(self) -> mmap.mmap:
        """What this thread has read last, at its beginning."""
        if not hasattr(self._local, "found"):
            self._local.found = page_memory(_STEP)
        found: mmap.mmap = self._local.found
        return found

    def _is_there(self, wanted: memoryview, offset: int) -> bool:
        """Whether the target holds `wanted`; `_found` begins with what it holds afterwards."""
        found, length = self._found(), len(wanted)
        self._file.read_into(memoryview(found)[:length], offset)
        return _same(found[:length], wanted)

    def _pwrite(self, data: memoryview, offset: int) -> int:
        self._file.write(data, offset)
        return len(data)


def _same(one: bytes, other: memoryview) -> bool:
    """Whether two contents of one length are the same; `==` would compare them byte by byte."""
    return one.startswith(other)


def _differing(wanted: memoryview, found: mmap.mmap) -> Iterator[tuple[int, int]]:
    """The stretches in which two contents differ, in grains from the first byte on."""
    start = None
    for at in range(0, len(wanted), _GRAIN):
        end = min(at + _GRAIN, len(wanted))
        same = _same(found[at:end], wanted[at:end])
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
