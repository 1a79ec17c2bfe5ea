"""Several blobs at once: threads that end with the first failure, and do not keep an interrupted process alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from twinroot.registry.client import StoppedError


def run_all(tasks: Sequence[Callable[[], None]], stop: threading.Event, *, at_once: int = 4) -> None:
    """Run all tasks; raises the first error after the others ended. They must look at `stop`, which is set then.

    An interruption sets it too and is not held up: the threads are daemons.
    """
    waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
    for task in tasks:
        waiting.put(task)
    errors: SimpleQueue[BaseException] = SimpleQueue()

    def work() -> None:
        while not stop.is_set():
            try:
                task = waiting.get_nowait()
            except Empty:
                return
            try:
                task()
            except BaseException as error:
                errors.put(error)
                stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(tasks)))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        stop.set()
        raise
    found = [errors.get() for _ in range(errors.qsize())]
    if found:
        # The first cause, not the stopping of the others that it led to.
        raise next((error for error in found if not isinstance(error, StoppedError)), found[0])
