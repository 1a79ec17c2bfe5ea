"""Memory that is used again and again by several threads: fresh memory costs the kernel as much as decoding into it."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from twinroot.units import KIB, MIB

PAGE = 4 * KIB
# What may lie unused: enough for frames of 4 MiB in four threads. Of longer ones fewer are decoded at once.
_KEPT = 16 * MIB
# A request to a disk takes so many pieces of memory and no more (254 for virtio): with pages of 4 KiB, 1 MiB. In huge
# pages of this size 4 MiB are one request, and a whole deployment takes a quarter less time.
_HUGE = 2 * MIB


class ReusedMemory:
    """Memory for bytes that go to some place of a file: as far behind the beginning of a page as they are there.

    So they can be written past the kernel's cache (open(2), O_DIRECT).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[mmap.mmap] = []

    @contextmanager
    def lent(self, size: int, place: int) -> Iterator[memoryview]:
        """`size` bytes for as long as the block lasts, with anything in them. Any thread may ask."""
        if not size:
            yield memoryview(b"")
            return
        skew = place % PAGE
        memory = self._take(skew + size)
        try:
            yield memoryview(memory)[skew : skew + size]
        finally:
            self._give(memory)

    def _take(self, size: int) -> mmap.mmap:
        with self._lock:
            fitting = min((memory for memory in self._free if len(memory) >= size), key=len, default=None)
            if fitting is not None:
                self._free.remove(fitting)
                return fitting
        return page_memory(size)

    def _give(self, memory: mmap.mmap) -> None:
        """Keep it; what then is too much goes, the shortest first."""
        with self._lock:
            self._free.append(memory)
            self._free.sort(key=len, reverse=True)
            while sum(map(len, self._free)) > _KEPT:
                self._free.pop(0 if len(self._free[0]) > _KEPT else -1)


def page_memory(size: int) -> mmap.mmap:
    """Memory of at least `size` bytes that begins on a page, all zero; long memory is in few pieces, if it can be."""
    memory = mmap.mmap(-1, -(-size // PAGE) * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= _HUGE:
        with suppress(OSError):  # EINVAL of a kernel that has no huge pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
