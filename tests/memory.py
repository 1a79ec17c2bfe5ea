"""A watch over the memory that a test's work takes."""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.units import GIB, KIB


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
def little_resident_memory(most: int) -> Iterator[None]:
    """What the process has in memory, whoever allocated it, stays below what it had and `most` bytes."""
    Path("/proc/self/clear_refs").write_text("5")  # begins a new peak (proc(5))
    before = _status("VmRSS")
    yield
    peak = _status("VmHWM") - before
    assert peak < most, f"{peak} bytes more were in memory, {most} are allowed"


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return KIB * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


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
