"""The hash of data that is used meanwhile: by a thread of its own, which may fall behind and catch up later.

Incompressible data is decoded in no time and hashed in its usual time, other data the other way round.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from twinroot.units import MIB

# What is kept in memory for the hash alone.
_MOST_BEHIND = 16 * MIB


class Sha384Behind:
    """SHA-384 of pieces that follow each other. Use as a context manager; leaving it early forgets what is waiting."""

    def __init__(self) -> None:
        self._digest = hashlib.sha384()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha384")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._behind = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def update(self, data: bytes) -> None:
        """Add a piece; waits while too much is waiting."""
        self._waiting.append((self._pool.submit(self._digest.update, data), len(data)))
        self._behind += len(data)
        self._catch_up(_MOST_BEHIND)

    def hexdigest(self) -> str:
        """The hash of all pieces so far."""
        self._catch_up(0)
        return self._digest.hexdigest()

    def _catch_up(self, most: int) -> None:
        while self._behind > most:
            future, length = self._waiting.popleft()
            future.result()
            self._behind -= length
