"""Progress events: what long work tells whoever watches. Rendering is the front door's business.

A phase starts, advances any number of times and finishes. Sizes are in bytes where `unit` is "bytes", otherwise
plain counts. An `Emit` takes one event and must be quick and thread-safe: events come from worker threads too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class PhaseStarted:
    """A phase began. `total` is its size in `unit`, None while unknown."""

    name: str
    title: str
    total: int | None = None
    unit: str = "bytes"


@dataclass(frozen=True)
class PhaseAdvanced:
    """`done` of the phase's total are behind us (absolute, not a difference)."""

    name: str
    done: int
    total: int | None = None


@dataclass(frozen=True)
class PhaseFinished:
    """A phase ended well, after `seconds` of wall time."""

    name: str
    seconds: float


Event = PhaseStarted | PhaseAdvanced | PhaseFinished
Emit = Callable[[Event], None]


def silent(_event: Event) -> None:
    """The `Emit` for whoever does not watch."""


@contextmanager
def phase(
    emit: Emit, name: str, title: str, *, total: int | None = None, unit: str = "bytes"
) -> Iterator[Callable[[int], None]]:
    """Bracket a phase; yields a function that takes the absolute amount done so far."""
    emit(PhaseStarted(name, title, total, unit))
    started = time.monotonic()
    yield lambda done: emit(PhaseAdvanced(name, done, total))
    emit(PhaseFinished(name, time.monotonic() - started))
