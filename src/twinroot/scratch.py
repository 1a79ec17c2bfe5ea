"""Scratch folders that whatever ends a run does not leave for long: locked while it lives, removed by the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked_folder(prefix: str, parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, closed to others, removed at the end; before, those that killed runs left are removed.

    Whatever there is of that prefix is taken for such a folder: it must be of this purpose alone.
    """
    remove_left_over(prefix, parent)
    folder, descriptor = _new(prefix, parent)
    try:
        with folder:
            yield Path(folder.name)
    finally:
        os.close(descriptor)


def _new(prefix: str, parent: Path) -> tuple[tempfile.TemporaryDirectory[str], int]:
    while True:
        folder = tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)
        descriptor = _lock(Path(folder.name), wait=True)
        if descriptor is not None:
            return folder, descriptor
        folder.cleanup()  # another run took it for left over before it was locked


def remove_left_over(prefix: str, parent: Path) -> None:
    """Remove the folders of our own that nobody has locked."""
    for folder in parent.glob(f"{prefix}*"):
        # What cannot be opened or removed is another one's business.
        with suppress(OSError):
            descriptor = _lock(folder, wait=False)
            if descriptor is None:
                continue
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """A descriptor that keeps a folder locked; None when another process has it, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(folder.stat(), os.fstat(descriptor)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
