"""Scratch space for commands without a build directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.scratch import locked_folder


@contextmanager
def large_scratch() -> Iterator[Path]:
    """A directory for files as large as disks, removed at the end, and by the next run where this one is killed.

    In TMPDIR where that is set, else in /var/tmp, which is on a disk where /tmp may be memory (file-hierarchy(7)).
    """
    parent = os.environ.get("TMPDIR") or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else None)
    with locked_folder("twinroot-scratch-", Path(parent or tempfile.gettempdir())) as directory:
        yield directory
