"""Bringing the image of a COSI file onto a partition: only what differs is written, and checks come before trust.

    compressed bytes ─▶ SHA-384 ─▶ zstd frames on all cores ─▶ compare with what is there ─▶ write ─▶ sync
        (this thread)                 (workers)                        (one more thread)

The partition holds a valid image only after `write_image` has returned: that hash and length are right is known last.
"""

from __future__ import annotations

import errno
import os
import queue
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from twinroot.errors import FormatError, HostError, NoSpaceError
from twinroot.formats.cosi.model import ImageFile
from twinroot.formats.cosi.reader import CosiFile
from twinroot.formats.zstd_reader import Piece
from twinroot.units import KIB, MIB

_STEP = MIB
# What differs is narrowed down to this: fewer bytes written, and no more of them than a flash page or two.
_GRAIN = 64 * KIB
_ZEROS = memoryview(bytes(_STEP))
# Behind so many bytes that were all different, a look at the first grain of a step decides for all of it: a partition
# that holds something else is not read in vain.
_SURE = 4 * MIB
_AHEAD = 8 * MIB
# What waits to be written: so many pieces, until they have so many bytes. A frame has 4 MiB at usual levels, 32 at high
# ones, of which one alone waits.
_WAITING = 6
_WAITING_BYTES = 16 * MIB


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
    with _opened(target) as fd:
        room = os.lseek(fd, 0, os.SEEK_END)
        if image.uncompressed_size > room:
            raise FormatError(
                f"'{image.path}' holds {image.uncompressed_size} bytes, but {target} has only {room}",
                where=cosi.name,
                hint="make the partition larger",
            )
        with _Writer(fd, advance) as writer:
            for piece in cosi.decompress(image):
                writer.put(piece)
        os.fsync(fd)
        return writer.written


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


class _Writer:
    """Writes pieces in a thread of its own, in the order in which they come."""

    def __init__(self, fd: int, advance: Callable[[int], None]) -> None:
        self._fd = fd
        self._advance = advance
        self._pieces: queue.Queue[Piece | None] = queue.Queue(_WAITING)
        self._failure: BaseException | None = None
        self._unwritten = 0
        self._less = threading.Condition()
        self._written = self._kept = 0
        self._found = bytearray(_STEP)
        self._foreign = 0  # bytes just before that were all different
        self._begun = 0  # where writing back to the disk was not asked for yet
        self._thread = threading.Thread(target=self._run, name="write", daemon=True)
        self._thread.start()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until everything is written; whatever happened, nobody writes to the descriptor any more then."""
        self._pieces.put(None)
        self._thread.join()
        if self._failure and value is None:
            raise self._failure

    @property
    def written(self) -> Written:
        """What was done."""
        return Written(self._written, self._kept)

    def put(self, piece: Piece) -> None:
        """Have a piece written; raises what an earlier one failed with."""
        with self._less:
            self._less.wait_for(lambda: self._unwritten < _WAITING_BYTES)
            self._unwritten += 0 if piece.data is None else piece.length
        self._pieces.put(piece)
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        # Whoever puts pieces must not wait for ever: behind a failure they are taken and dropped.
        while (piece := self._pieces.get()) is not None:
            try:
                if not self._failure:
                    self._write(piece)
            except BaseException as error:
                self._failure = error
            with self._less:
                self._unwritten -= 0 if piece.data is None else piece.length
                self._less.notify()

    def _write(self, piece: Piece) -> None:
        before = self._written
        if piece.data is None:
            for offset, length in _data_runs(self._fd, piece.offset, piece.offset + piece.length):
                self._make_equal(_ZEROS[:length], offset)
        else:
            for at in range(0, piece.length, _STEP):
                self._make_equal(piece.data[at : at + _STEP], piece.offset + at)
        self._kept += piece.length - (self._written - before)
        self._advance(piece.offset + piece.length)

    def _make_equal(self, wanted: memoryview, offset: int) -> None:
        """Have the target hold `wanted` at an offset; only the stretches that differ are written."""
        length = len(wanted)
        if self._foreign >= _SURE and length > _GRAIN and not self._is_there(wanted[:_GRAIN], offset):
            self._pwrite(wanted, offset)
            return
        if self._is_there(wanted, offset):
            self._foreign = 0
            return
        before, start = self._written, None
        for at in range(0, length, _GRAIN):
            end = min(at + _GRAIN, length)
            same = self._found[at:end] == wanted[at:end]
            if same and start is not None:
                self._pwrite(wanted[start:at], offset + start)
                start = None
            elif not same and start is None:
                start = at
        if start is not None:
            self._pwrite(wanted[start:], offset + start)
        self._foreign = self._foreign + length if self._written - before == length else 0

    def _is_there(self, wanted: memoryview, offset: int) -> bool:
        """Whether the target holds `wanted`; `_found` begins with what it holds afterwards."""
        length = len(wanted)
        view = memoryview(self._found)[:length]
        while view:
            done = os.preadv(self._fd, [view], offset)
            if not done:
                raise OSError(errno.EIO, "became smaller while it was written")
            view, offset = view[done:], offset + done
        # A bytearray on the left side compares at the speed of memory, a memoryview there byte by byte.
        return (self._found if length == _STEP else self._found[:length]) == wanted

    def _pwrite(self, data: memoryview, offset: int) -> None:
        while data:
            done = os.pwrite(self._fd, data, offset)
            self._written += done
            data, offset = data[done:], offset + done
        if offset - self._begun >= _AHEAD:
            # Has the kernel write while we decode, and leaves its cache to others. Only a wish: fsync comes at the end.
            os.posix_fadvise(self._fd, self._begun, offset - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = offset


def _data_runs(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Steps of up to 1 MiB within a stretch that may hold anything but zeros; holes of a file are left out."""
    position = start
    while position < end:
        try:
            position = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # only a hole is left
            if not stat.S_ISBLK(os.fstat(fd).st_mode):
                raise
        if position >= end:
            return
        length = min(_STEP - position % _STEP, end - position)
        yield position, length
        position += length
