"""A watch over the memory that a test's work takes."""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.units import GIB


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    """What the block allocates at once, over what there was, stays below `most` bytes."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak} bytes were allocated, {most} are allowed"


@contextmanager
def bounded_address_space(more: int = GIB) -> Iterator[None]:
    """Allocations of libraries, which Python does not see, fail when they go beyond what there is and `more` bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
