"""Booting a disk image for a person or for a script: what `twinroot boot` does."""

from __future__ import annotations

import sys
import termios
from collections.abc import Callable
from pathlib import Path

from twinroot.errors import MachineError
from twinroot.tools import qemu_system
from twinroot.tools.run import start, stop
from twinroot.vm.machine import Machine, Options, prepare, work_folder


def boot_until(
    image: Path,
    image_format: str,
    text: str,
    timeout: float,
    *,
    on_line: Callable[[str], None],
    options: Options | None = None,
    log_file: Path | None = None,
) -> None:
    """Boot a disk image until its serial console shows `text`, then switch the machine off without ceremony.

    The image is not changed (unless `options.persistent`). `timeout` is in seconds. `on_line` sees the console line by
    line. MachineError on timeout, when QEMU ends early, and as soon as the console shows that the boot has failed.
    """
    with Machine(image, image_format, options, log_file=log_file) as machine:
        machine.console.wait_for(text, timeout, on_line=on_line)


def boot_interactive(image: Path, image_format: str, *, options: Options | None = None) -> None:
    """Boot a disk image with its serial console on our terminal, until the guest switches off or Ctrl-A X quits.

    The image is not changed (unless `options.persistent`). Ctrl-C goes to the guest. MachineError when QEMU fails.
    """
    with work_folder() as work:
        hardware = prepare(image, image_format, options or Options(), work)
        terminal = sys.stdin.fileno()
        settings = termios.tcgetattr(terminal) if sys.stdin.isatty() else None
        process = start(
            qemu_system.argv(hardware, None), stdin=terminal, stdout=sys.stdout.fileno(), stderr=sys.stderr.fileno()
        )
        try:
            code = process.wait()
        finally:
            if process.poll() is None:
                stop(process)
            if settings:
                # QEMU makes the terminal raw and may end without undoing it.
                termios.tcsetattr(terminal, termios.TCSADRAIN, settings)
    if code != 0:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise MachineError(f"QEMU {how}")
