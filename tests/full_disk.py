"""Disks without room."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def fill(directory: Path) -> None:
    """Write a file until nothing is left of the file system that a directory is on."""
    with (directory / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"x" * 4096):
            pass
