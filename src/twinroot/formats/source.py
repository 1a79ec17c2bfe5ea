"""Where the contents of a region come from: a stretch of a file with its holes, or bytes in memory.

A `Source` is a value; `opened()` gives the `Reader` that does the reading. Readers may be used by several threads at
once (they read at positions, `pread`, and keep no position of their own).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twinroot.errors import FormatError


class Reader(Protocol):
    """An opened source. Offsets are relative to the source's start."""

    def extents(self) -> Iterator[tuple[int, int]]:
        """The stretches (start, end) that may hold data, ascending; all bytes outside of them are zero."""
        ...

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset` on; FormatError if the file ends before."""
        ...


class Source(Protocol):
    """The contents of one region, `length` bytes long."""

    @property
    def length(self) -> int:
        """Size in bytes, holes included."""
        ...

    def opened(self) -> AbstractContextManager[Reader]:
        """Open for reading; raises FormatError if the file is shorter than the region, OSError as open(2) does."""
        ...


@dataclass(frozen=True)
class BytesRegion:
    """Contents that are in memory already."""

    data: bytes

    @property
    def length(self) -> int:
        """Size in bytes."""
        return len(self.data)

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """The reader for these bytes."""
        yield _BytesReader(self.data)


@dataclass(frozen=True)
class FileRegion:
    """`length` bytes of a file or block device, from `offset` on. Holes are found by SEEK_DATA, never read."""

    path: Path
    offset: int
    length: int

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Open the file; FormatError if it is shorter than the region."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            info = os.fstat(fd)
            if stat.S_ISREG(info.st_mode) and info.st_size < self.offset + self.length:
                wanted = self.offset + self.length
                raise FormatError(f"is {info.st_size} bytes long, but {wanted} are needed", where=str(self.path))
            yield _FileReader(fd, self)
        finally:
            os.close(fd)


@dataclass(frozen=True)
class _BytesReader:
    data: bytes

    def extents(self) -> Iterator[tuple[int, int]]:
        if self.data:
            yield 0, len(self.data)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        buffer[:] = self.data[offset : offset + len(buffer)]


@dataclass(frozen=True)
class _FileReader:
    fd: int
    region: FileRegion

    def extents(self) -> Iterator[tuple[int, int]]:
        first, end = self.region.offset, self.region.offset + self.region.length
        position = first
        while position < end:
            try:
                start = os.lseek(self.fd, position, os.SEEK_DATA)
                stop = os.lseek(self.fd, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                # Block devices and some filesystems cannot tell holes from data.
                start, stop = position, end
            if start >= end:
                return
            yield start - first, min(stop, end) - first
            position = stop

    def read_into(self, buffer: memoryview, offset: int) -> None:
        done = 0
        while done < len(buffer):
            count = os.preadv(self.fd, [buffer[done:]], self.region.offset + offset + done)
            if not count:
                raise FormatError("became shorter while it was read", where=str(self.region.path))
            done += count
