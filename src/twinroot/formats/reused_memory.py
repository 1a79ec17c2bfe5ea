"""Memory that is used again and again by several threads: fresh memory costs the kernel as much as decoding into it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

from twinroot.units import MIB


class ReusedMemory:
    """Stretches of memory that begin on a page, as writing past the kernel's cache demands (open(2), O_DIRECT)."""

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    @contextmanager
    def lent(self, size: int) -> Iterator[memoryview]:
        """`size` bytes for as long as the block lasts; what they hold is not said. Any thread may ask."""
        memory = self._take(size)
        try:
            yield memoryview(memory)[:size]
        finally:
            self._free.append(memory)

    def _take(self, size: int) -> mmap.mmap:
        try:
            memory = self._free.pop()
        except IndexError:
            return _fresh(size)
        return memory if len(memory) >= size else _fresh(size)


def _fresh(size: int) -> mmap.mmap:
    length = max(-(-size // MIB), 1) * MIB
    return mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
