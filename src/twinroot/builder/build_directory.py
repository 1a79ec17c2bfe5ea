"""The build directory: one run at a time, a scratch folder that never outlives its run, caches that do.

BUILD/lock      held while a run uses the directory
BUILD/scratch/  everything of one run; removed at its end, and at the start of the next if a run was killed
BUILD/cache/    downloaded packages and repository lists, kept between runs
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import BusyError, HostError, InputError
from twinroot.interrupts import held
from twinroot.sandbox.mounts import unmount_below

# e2fsprogs and mtools take the first two for the beginning of an offset into a file, mtools `$` for that of a variable,
# mount a quote for that of an option, and mountinfo shows the others escaped.
_READ_OTHERWISE = ("?", "@@", "$", '"', "\\", "\n")


@dataclass(frozen=True)
class BuildDirectory:
    """A locked build directory."""

    scratch: Path
    cache: Path

    def discard_except(self, needed: set[Path]) -> None:
        """Remove everything from the scratch folder but the files that are still needed and what leads to them."""
        for entry in self.scratch.iterdir():
            if not any(path == entry or entry in path.parents for path in needed):
                remove_tree(entry)


@contextmanager
def open_build_directory(path: Path) -> Iterator[BuildDirectory]:
    """Lock the directory, which is made when missing; BusyError when another run holds it."""
    for read_otherwise in _READ_OTHERWISE:
        if read_otherwise in str(path.resolve()):
            raise InputError(f"--build-dir may not contain {read_otherwise!r}", where=str(path))
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "lock").open("w")
    except OSError as error:
        raise InputError(
            f"--build-dir cannot be used: {error.strerror}", where=str(path), hint="name a writable directory"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                "another run is using this build directory",
                where=str(path),
                hint="wait for it to end, or use another --build-dir",
            ) from error
        scratch, cache = path / "scratch", path / "cache"
        try:
            _clear(scratch)
            _make(scratch, cache)
            yield BuildDirectory(scratch.resolve(), cache.resolve())
        finally:
            with held():
                _clear(scratch)


def _make(*directories: Path) -> None:
    for directory in directories:
        try:
            # An image has programs that run as root whoever starts them: nobody else of this host shall get at them.
            directory.mkdir(mode=0o700, exist_ok=True)
            if directory.stat().st_uid == os.geteuid():
                directory.chmod(0o700)
        except OSError as error:
            raise InputError(f"cannot be made: {error.strerror}", where=str(directory)) from error


def _clear(scratch: Path) -> None:
    """Remove the scratch folder, once nothing is mounted in it that would be removed as well."""
    unmount_below(scratch.resolve())
    for attempt in range(20):
        try:
            remove_tree(scratch)
        except OSError as error:
            # Programs that were killed a moment ago may still write.
            if attempt == 19:
                raise HostError(f"cannot be removed: {error.strerror}", where=str(error.filename)) from error
            time.sleep(0.1)
        else:
            return


def remove_tree(path: Path) -> None:
    """Remove a directory tree, also one that holds directories without permissions (overlay's work directories)."""

    def allow(function: object, name: str, _error: object) -> None:
        os.chmod(os.path.dirname(name), 0o700)  # noqa: PTH101, PTH120 - names may be any bytes
        if os.path.isdir(name) and not os.path.islink(name):  # noqa: PTH112, PTH114
            os.chmod(name, 0o700)  # noqa: PTH101
            shutil.rmtree(name)
        else:
            os.unlink(name)  # noqa: PTH108

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=allow)
