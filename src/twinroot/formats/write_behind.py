"""Writing to a file while the caller prepares what comes next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from twinroot.interrupts import held

Data = bytes | bytearray | memoryview
# IOV_MAX of Linux.
_MOST_PARTS = 1024


class WriteBehind:
    """Writes to an open file, which stays the caller's, by a thread: one batch at a time.

    OSError of a write is raised by the next call. Leaving the context waits for the thread and raises nothing.
    """

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        # A wait that a signal ends would leave it writing, to whatever has the number of the closed file by then.
        with held():
            self._pool.shutdown()

    def write(self, pieces: Sequence[tuple[int, Sequence[Data]]]) -> None:
        """Begin to write pieces, each with its place in bytes, as soon as the batch before is written.

        A piece is what it consists of, which follows each other there and is not to change any more.
        """
        self.wait()
        self._last = self._pool.submit(self._write, pieces)

    def wait(self) -> None:
        """Return when everything is written."""
        last, self._last = self._last, None
        if last:
            last.result()

    def _write(self, pieces: Sequence[tuple[int, Sequence[Data]]]) -> None:
        for place, parts in pieces:
            offset = place
            for first in range(0, len(parts), _MOST_PARTS):
                offset = self._write_parts(parts[first : first + _MOST_PARTS], offset)

    def _write_parts(self, parts: Sequence[Data], offset: int) -> int:
        """Write some parts from an offset on; where they end."""
        end = offset + sum(map(len, parts))
        offset += os.pwritev(self._fd, parts, offset)
        if offset < end:
            # Seldom, so that it need not be quick.
            rest = memoryview(b"".join(parts))[offset - end :]
            while rest:
                written = os.pwrite(self._fd, rest, offset)
                rest, offset = rest[written:], offset + written
        return end
