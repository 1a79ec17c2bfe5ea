"""Writing on a mounted FAT file system so that a power cut leaves each file old or new, never half.

FAT keeps no journal: a file is written beside its name and synced, then renamed, then synced once more with its
directory. Linux replaces a name on FAT by writing one directory entry. An entry for a new name leads nowhere at first,
and says where the content lies once the inode is written (vfat_rename in fs/fat/namei_vfat.c), so that syncing the
directory alone leaves an empty file. Names are found without regard to case, as FAT does itself, so that directories of
other file systems, with which tests work, behave alike.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinroot.errors import HostError, InputError, NoSpaceError
from twinroot.sandbox.paths import remove_inside, resolve_inside
from twinroot.units import MIB

_STEP = 4 * MIB
NEW = ".new"
"""Ending of files that are not complete yet."""


def locate(root: Path, path: str) -> str:
    """A relative path with the names as they are there; what is not there keeps the case that was asked for."""
    found = ""
    for part in path.split("/"):
        there = {name.lower(): name for name in names(root, found)}
        found = f"{found}/{there.get(part.lower(), part)}".lstrip("/")
    return found


def names(root: Path, path: str) -> tuple[str, ...]:
    """The names in a directory, sorted; none when there is no such directory."""
    directory = resolve_inside(root, path)
    return tuple(sorted(entry.name for entry in directory.iterdir())) if directory.is_dir() else ()


def all_files(root: Path) -> tuple[str, ...]:
    """The relative paths of all plain files, sorted. Links, which FAT does not have, are passed over."""
    return tuple(sorted(_files(root, "")))


def _files(root: Path, path: str) -> Iterator[str]:
    with os.scandir(root / path) as entries:
        for entry in entries:
            inner = f"{path}/{entry.name}".lstrip("/")
            if entry.is_dir(follow_symlinks=False):
                yield from _files(root, inner)
            elif entry.is_file(follow_symlinks=False):
                yield inner


def make_directories(root: Path, path: str) -> Path:
    """A directory, made with all above it where it is missing, and synced."""
    target = root
    for part in locate(root, path).split("/"):
        target = resolve_inside(target, part)
        if target.is_dir():
            continue
        with _words(target):
            target.mkdir()
        sync(target.parent)
    return target


def write_beside(directory: Path, name: str, content: bytes) -> None:
    """A file of the directory, complete and synced, beside its name; `rename_new` gives it its name."""
    with _new_file(directory / f"{name}{NEW}") as descriptor:
        _write_all(descriptor, content)


def copy_beside(source_root: Path, source: str, directory: Path, name: str) -> None:
    """As `write_beside`, with the content of a plain file below `source_root`. InputError where it is none."""
    place = resolve_inside(source_root, locate(source_root, source))
    try:
        reading = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{source} of the ESP cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(reading).st_mode):
            raise InputError(f"{source} of the ESP is no plain file")
        with _new_file(directory / f"{name}{NEW}") as writing:
            while part := os.read(reading, _STEP):
                _write_all(writing, part)
    finally:
        os.close(reading)


def write_over(root: Path, path: str, content: bytes) -> None:
    """Give a file of lines other content that is no longer, where there is no room beside it; empty lines follow it.

    Not whole at each moment, but for files within a sector.
    """
    place = resolve_inside(root, locate(root, path))
    with _words(place):
        descriptor = os.open(place, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _write_all(descriptor, content.ljust(os.fstat(descriptor).st_size, b"\n"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rename_new(directory: Path, name: str) -> None:
    """Give a file written beside its name that name, in place of what has it, and sync both file and directory."""
    target = directory / name
    with _words(target):
        (directory / f"{name}{NEW}").replace(target)
    sync(target)
    sync(directory)


def same_content(one_root: Path, one: str, other: Path) -> bool:
    """Whether a file below a root and another have the same bytes."""
    place = resolve_inside(one_root, locate(one_root, one))
    if not (place.is_file() and other.is_file() and not other.is_symlink()):
        return False
    if place.stat().st_size != other.stat().st_size:
        return False
    with place.open("rb") as first, other.open("rb") as second:
        while part := first.read(_STEP):
            if part != second.read(_STEP):
                return False
    return True


def remove(root: Path, path: str) -> None:
    """Remove a file or a directory with everything in it, if it is there, and sync what held it."""
    place = locate(root, path)
    with _words(root / place):
        if remove_inside(root, f"/{place}"):
            sync(resolve_inside(root, place.rpartition("/")[0]))


def move(root: Path, source: str, target: str) -> None:
    """Rename within a file system, in place of a file that has the name, and sync it and both directories."""
    start, end = (resolve_inside(root, locate(root, path)) for path in (source, target))
    with _words(end):
        start.rename(end)
    for path in dict.fromkeys((end, end.parent, start.parent)):
        sync(path)


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on the disk, and where on the disk its own name says that it lies."""
    with _words(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """A new file that is synced at the end of the block, and gone when that fails."""
    with _words(path):
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            yield descriptor
            os.fsync(descriptor)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


@contextmanager
def _words(path: Path) -> Iterator[None]:
    """What goes wrong on the ESP is a HostError."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            hint = "remove files from it that nobody needs, or make the partition larger"
            raise NoSpaceError("the ESP is full", where=str(path), hint=hint) from error
        hints = {errno.EROFS: "mount the ESP for writing", errno.EIO: "look for faults of the disk with dmesg"}
        raise HostError(error.strerror or str(error), where=str(path), hint=hints.get(error.errno or 0)) from error
