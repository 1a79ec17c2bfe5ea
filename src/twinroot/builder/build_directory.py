"""The build directory: one run at a time, a scratch folder that never outlives its run, caches that do.

BUILD/lock      held while a run uses the directory
BUILD/scratch/  everything of one run; removed at its end, and at the start of the next if a run was killed
BUILD/cache/    downloaded packages and repository lists, kept between runs
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import BusyError, HostError, InputError, UsageError
from twinroot.interrupts import held
from twinroot.output.files import followed
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
        if read_otherwise in str(_resolved(path, "--build-dir")):
            raise InputError(f"--build-dir may not contain {read_otherwise!r}", where=str(path))
    _refuse_foreign(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "lock").open("a")
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


def _resolved(path: Path, flag: str) -> Path:
    with suppress(RuntimeError):  # before Python 3.13, of links that lead to each other; they are left then
        found = path.resolve()
        if not found.is_symlink():
            return found
    message = f"{flag} cannot be used: {os.strerror(errno.ELOOP)}"
    raise InputError(message, where=str(path), hint="name a writable directory")


def check_output_outside(path: Path, output: Path) -> None:
    """InputError for an output among what a build directory holds for itself, where it would be removed or replaced."""
    output_file = followed(output)
    place = output_file.parent.resolve() / output_file.name
    for name in ("lock", "scratch", "cache"):
        own = _resolved(path, "--build-dir") / name
        if place == own or own in place.parents:
            message = f"the output would be in what --build-dir keeps for itself ({own})"
            raise InputError(message, where=str(output), hint="name another output file")


def check_cache_outside(path: Path, flag: str, cache: Path) -> None:
    """UsageError for a cache, named with `flag`, that is the build directory itself or would be removed with a run.

    Both have a lock of the same name, and the run would wait for itself.
    """
    own, place = _resolved(path, "--build-dir"), _resolved(cache, flag)
    if place == own or own / "scratch" in (place, *place.parents):
        message = f"{flag} {cache} and --build-dir {path} may not share a directory"
        raise UsageError(message, hint=f"name another one with {flag}, for example {path / 'kept'}")


def _refuse_foreign(path: Path) -> None:
    """InputError for a directory where something has the names of ours, of which one is removed at each start."""
    lock, scratch = path / "lock", path / "scratch"
    # In this order, as another run makes its lock first.
    if os.path.lexists(scratch) and not lock.exists():
        foreign = scratch
    elif lock.is_file() and lock.stat().st_size:
        foreign = lock
    else:
        return
    message = f"--build-dir holds a '{foreign.name}' that no build has made, and would be removed"
    raise InputError(message, where=str(foreign), hint="name a new or an empty directory")


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
