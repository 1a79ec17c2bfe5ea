"""journalctl: reading the journal of the running system."""

from __future__ import annotations

import subprocess
from typing import IO

from twinroot.errors import CommandError
from twinroot.tools.run import run, start, stop

_PATIENCE = 60.0  # seconds


def of_unit(unit: str, lines: int) -> str:
    """The last lines of a unit."""
    argv = ["journalctl", "--no-pager", "--unit", unit, "--lines", str(lines), "--output", "short-iso-precise"]
    return run(argv, timeout=_PATIENCE).stdout


def write_all(target: IO[bytes]) -> None:
    """The whole journal into an open file. CommandError when it cannot be read, or not within minutes."""
    argv = ["journalctl", "--no-pager", "--output", "short-iso-precise"]
    process = start(argv, stdout=target.fileno())
    try:
        code = process.wait(5 * _PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise CommandError(" ".join(argv), -9, f"it did not end within {5 * _PATIENCE:g} s") from error
    finally:
        stop(process)
    if code:
        raise CommandError(" ".join(argv), code, "")
