"""Writing to a file while the caller prepares what comes next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


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
        self._pool.shutdown()

    def write(self, pieces: Sequence[tuple[int, bytes | bytearray]]) -> None:
        """Begin to write pieces, each with its place in bytes, as soon as the batch before is written.

        They are not to change any more.
        """
        self.wait()
        self._last = self._pool.submit(self._write, pieces)

    def wait(self) -> None:
        """Return when everything is written."""
        last, self._last = self._last, None
        if last:
            last.result()

    def _write(self, pieces: Sequence[tuple[int, bytes | bytearray]]) -> None:
        for place, data in pieces:
            rest, offset = memoryview(data), place
            while rest:
                written = os.pwrite(self._fd, rest, offset)
                rest, offset = rest[written:], offset + written
