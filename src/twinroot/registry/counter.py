"""Bytes that several threads move, as progress events."""

from __future__ import annotations

import threading
import time

from twinroot.events import Emit, PhaseAdvanced

_INTERVAL = 0.1  # seconds between events


class Counter:
    """Adds up differences and tells of them, not too often."""

    def __init__(self, emit: Emit, phase: str, total: int) -> None:
        self._emit = emit
        self._phase = phase
        self._total = total
        self._lock = threading.Lock()
        self._done = 0
        self._next = 0.0

    def add(self, count: int) -> None:
        """More bytes were moved, or some have to be moved again."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now >= self._next:
                self._next = now + _INTERVAL
                self._emit(PhaseAdvanced(self._phase, max(0, self._done), self._total))
