"""A partition, or a file, that is read and written past the kernel's cache where it can do that.

What is written once and not read again soon is only copied there, and drives out what a machine does need.

Whole pages go directly. The rest of a page, and all that the target refuses, goes through the cache, and alone: where
the kernel keeps what a direct write has changed, and cannot drop it because something beside it waits to be written, it
fails the next sync ("Page cache invalidation failure on direct I/O" in its log).
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from twinroot.formats.reused_memory import PAGE

# What a target says that cannot do this, or not from this memory or in these units.
_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # linux/falloc.h


class DirectFile:
    """Several threads may use it at once, for different places. Use as a context manager.

    `descriptor`, open for reading and writing, stays the caller's. Memory that begins as far behind a page as its place
    in the file does (`ReusedMemory`) is what goes directly. Errors are OSError.
    """

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        self._direct = _direct(descriptor)
        self._turns = _Turns()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._direct is not None:
            os.close(self._direct)

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` with what is there; EIO when the file ends before."""
        whole_pages = offset % PAGE == len(view) % PAGE == 0
        while view:
            done = self._read(view, offset, directly=whole_pages)
            if not done:
                raise OSError(errno.EIO, "became smaller while it was written")
            view, offset = view[done:], offset + done

    def write(self, data: memoryview, offset: int) -> None:
        """Write all of it."""
        first, last = -(-offset // PAGE) * PAGE, (offset + len(data)) // PAGE * PAGE
        if self._direct is None or first >= last:
            self._write_alone(data, offset)
            return
        head, pages, tail = data[: first - offset], data[first - offset : last - offset], data[last - offset :]
        self._write_alone(head, offset)
        left = self._write_pages(self._direct, pages, first)
        self._write_alone(left, last - len(left))
        self._write_alone(tail, last)

    def zero_out(self, offset: int, length: int) -> bool:
        """Have whole pages be zeros where the target can do that by itself, without any being sent; whether it did.

        Of a disk the kernel asks for what reads as zeros for sure (REQ_OP_WRITE_ZEROES), not for what it may forget.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        place = ctypes.c_int64(offset), ctypes.c_int64(length)
        with self._turns.together():
            # Whatever is the matter, writing does it as well, or says what it is.
            return bool(libc.fallocate64(self._fd, _PUNCH_HOLE | _KEEP_SIZE, *place) == 0)

    def sync(self) -> None:
        """Have everything on the disk, and nothing of it in the cache."""
        os.fsync(self._fd)
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def _read(self, view: memoryview, offset: int, *, directly: bool) -> int:
        if directly and self._direct is not None:
            with _accepting_refusals():
                return os.preadv(self._direct, [view], offset)
        return os.preadv(self._fd, [view], offset)

    def _write_pages(self, descriptor: int, data: memoryview, offset: int) -> memoryview:
        """Write whole pages; what is left of them when the target refuses."""
        with self._turns.together(), _accepting_refusals():
            while data:
                done = os.pwrite(descriptor, data, offset)
                data, offset = data[done:], offset + done
        return data

    def _write_alone(self, data: memoryview, offset: int) -> None:
        if not data:
            return
        with self._turns.alone():
            while data:
                done = os.pwrite(self._fd, data, offset)
                data, offset = data[done:], offset + done


class _Turns:
    """Any number of threads do one thing together, or one thread does another thing alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._changed:
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._inside)
            yield  # nobody comes in while the lock is held


@contextmanager
def _accepting_refusals() -> Iterator[None]:
    """Go on behind the block when the target cannot do what it asks."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise


def _direct(descriptor: int) -> int | None:
    """The same file once more, whatever its name leads to meanwhile; None when it knows no such way."""
    with _accepting_refusals():
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
    return None
