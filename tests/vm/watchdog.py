"""A machine that the emulator does not start again after its guest restarted it gets its reset button pressed.

The guest has given the machine up by then, and no firmware has shown itself: what hangs is QEMU (`MEMORY_MIB` says
why). Everything that hangs later is for the test to find.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from twinroot.vm.machine import Machine

_GIVEN_UP = "reboot: machine restart"
"""The last that a Linux kernel says."""
_PATIENCE = 90.0  # seconds; firmware shows itself after five on an idle host
_EVERY = 5.0


@contextmanager
def restarting(machine: Machine) -> Iterator[None]:
    """Watch a machine while the block runs."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(machine, over), name="watchdog", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(machine: Machine, over: threading.Event) -> None:
    seen, silent = 0, 0.0
    while not over.wait(_EVERY):
        text = machine.console.text
        silent = silent + _EVERY if len(text) == seen else 0.0
        seen = len(text)
        if silent >= _PATIENCE and text.rstrip().endswith(_GIVEN_UP):
            print(f"QEMU did not restart the machine within {silent:.0f} s: reset", file=sys.stderr)
            machine.reset()
            silent = 0.0
