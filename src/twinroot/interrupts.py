"""Signals that end a run: one way to keep them away from what must not be torn apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held(*, too_late: bool = False) -> Iterator[None]:
    """Hold back the signals that end a run; those that came are delivered behind the block.

    When the block is what completes the run, they come `too_late` if it succeeds, and are dropped.
    For blocks that are short, or that clean up. Handlers are exchanged, as blocked signals would stay blocked in
    programs started meanwhile. Python handles signals in its main thread: elsewhere there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING}
    try:
        for ending in ENDING:
            signal.signal(ending, lambda number, _frame: came.append(number))
        yield
        if too_late:
            came.clear()
    finally:
        for ending, handler in handlers.items():
            signal.signal(ending, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)
