"""Files and folders that take long to make and that no test changes: made once for all processes of a test run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The file or folder `name` in the folder of this test run, which `make` writes unless another process has done so.

    Whoever comes while it is being made waits. After a failed attempt the next one tries again.
    """
    # The processes of pytest-xdist have folders of their own below that of the whole run.
    own = factory.getbasetemp()
    directory = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "once"
    directory.mkdir(exist_ok=True)
    path = directory / name
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = directory / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            make(partial)
            partial.rename(path)
    return path
