"""Copying files and trees of the host into the image's tree.

Times are the source's, so that two builds of the same files are the same. Holes stay holes. A copy ends when it has
become larger than the filesystem it goes to: devices such as /dev/zero have no end.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from twinroot.epoch import source_date_epoch
from twinroot.errors import InputError
from twinroot.plan.disk import PlannedDisk
from twinroot.sandbox.namespace import id_outside
from twinroot.sandbox.paths import inside, make_directory, open_new, place_link, resolve_inside
from twinroot.units import MIB, exact

log = logging.getLogger(__name__)

_CHUNK = MIB
_ZEROS = bytes(_CHUNK)


@dataclass(frozen=True)
class Modes:
    """Permissions of what is copied; None keeps the source's, for `merged` (directories that exist) the image's.

    No bits are kept that run a file with the rights of its owner, who is another one.
    """

    file: int | None
    new_directory: int | None
    merged: int | None = None
    parents: int = 0o755


@dataclass(frozen=True)
class Owner:
    """Who owns what is copied."""

    uid: int = 0
    gid: int = 0


def copy_file(
    source: Path, root: Path, path: str, disk: PlannedDisk, *, mode: int | None = None, owner: Owner | None = None,
    parents_mode: int = 0o755,
) -> None:  # fmt: skip
    """Copy one file, links to it followed, to a path of the image. InputError when it is none or does not fit.

    Without `mode` it gets the source's (image behaviour spec §12), with the bits that run it with its owner's rights.
    That is told where it is another owner.
    """
    owner = owner or Owner()
    with _open_source(source) as reading, open_new(root, path, parents_mode=parents_mode) as writing:
        status = os.fstat(reading.fileno())
        try:
            _copy_content(reading, writing, _room(source, root, path, disk))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(f"{source} cannot be copied: {error.strerror}") from error
        os.fchown(writing.fileno(), owner.uid, owner.gid)
        os.fchmod(writing.fileno(), _own_mode(source, status, path, owner) if mode is None else mode)
        if stat.S_ISREG(status.st_mode):
            os.utime(writing.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))


def _own_mode(source: Path, status: os.stat_result, path: str, owner: Owner) -> int:
    mode = stat.S_IMODE(status.st_mode)
    message = "%s has its %s bit set: in the image %s runs with the rights of %s %d"
    if mode & stat.S_ISUID and id_outside("uid", status.st_uid) != owner.uid:
        log.warning(message, source, "setuid", path, "user", owner.uid)
    if mode & stat.S_ISGID and id_outside("gid", status.st_gid) != owner.gid:
        log.warning(message, source, "setgid", path, "group", owner.gid)
    return mode


def copy_tree(
    source: Path, root: Path, path: str, disk: PlannedDisk, modes: Modes, *, owner: Owner | None = None
) -> None:
    """Copy what a directory holds into a directory of the image, which is made when missing.

    Symbolic links are copied as links. Where the image has a link to a directory in place of a directory, the content
    goes to where that leads inside the image.
    """
    owner = owner or Owner()
    if root.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{source} holds the build directory, so that copying it would never end")
    times: list[tuple[Path, int]] = []
    with steady_times(root, path.rstrip("/")):
        make_directory(root, path.rstrip("/").rpartition("/")[0], modes.parents)
        waiting = [(source, path)]
        while waiting:
            directory, to = waiting.pop()
            times.append(_copy_directory(directory, root, to, modes, owner))
            for entry in _entries(directory):
                below = f"{to.rstrip('/')}/{entry.name}"
                if entry.is_symlink():
                    _copy_link(Path(entry.path), root, below, owner)
                elif entry.is_dir():
                    waiting.append((Path(entry.path), below))
                elif entry.is_file():
                    mode = entry.stat().st_mode & 0o777 if modes.file is None else modes.file
                    copy_file(Path(entry.path), root, below, disk, mode=mode, owner=owner)
                else:
                    raise InputError(f"{entry.path} is neither a file, a directory nor a symbolic link")
        # At last, as everything that is made in a directory changes its time.
        for target, time in reversed(times):
            os.utime(target, ns=(time, time))


@contextmanager
def steady_times(root: Path, path: str) -> Iterator[None]:
    """Let the directory in which something is made keep its time, so that two builds are the same.

    Directories that have to be made on the way get SOURCE_DATE_EPOCH, if it is set.
    """
    directory = resolve_inside(root, path.rpartition("/")[0])
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    time, epoch = directory.stat().st_mtime_ns, source_date_epoch()
    yield
    if epoch is not None:
        for made in missing:
            os.utime(made, (epoch, epoch))
    os.utime(directory, ns=(time, time))


def _copy_directory(directory: Path, root: Path, path: str, modes: Modes, owner: Owner) -> tuple[Path, int]:
    """Make or merge one directory; returns it with the time that it shall have in the end."""
    status = directory.stat()
    if (target := resolve_inside(root, path)).is_dir():
        time = target.stat().st_mtime_ns
        if modes.merged is not None:
            target.chmod(modes.merged)
        return target, time
    mode = stat.S_IMODE(status.st_mode) & 0o777 if modes.new_directory is None else modes.new_directory
    target = make_directory(root, path, mode)
    os.chown(target, owner.uid, owner.gid)
    return target, status.st_mtime_ns


def _copy_link(link: Path, root: Path, path: str, owner: Owner) -> None:
    time = link.lstat().st_mtime_ns
    placed = place_link(root, path, str(link.readlink()))
    os.lchown(placed, owner.uid, owner.gid)
    os.utime(placed, ns=(time, time), follow_symlinks=False)


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _open_source(source: Path) -> BinaryIO:
    """Open a file, or a device of single characters as /dev/null is one. A pipe could keep us waiting for ever."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFCHR):
        os.close(descriptor)
        raise InputError(f"{source} is not a file")
    return os.fdopen(descriptor, "rb", buffering=0)


@dataclass(frozen=True)
class _Room:
    """How much a copy may hold, and the error for one that holds more."""

    size: int
    error: InputError


def _room(source: Path, root: Path, path: str, disk: PlannedDisk) -> _Room:
    place = inside(root, resolve_inside(root, path.rpartition("/")[0]))
    partition = disk.holding(place)
    error = InputError(
        f"{source} does not fit: the filesystem that would hold {path} has {exact(partition.size)}",
        hint=f"a device may have no end; for a large file, raise {partition.size_field}",
    )
    return _Room(partition.size, error)


def _copy_content(reading: BinaryIO, writing: BinaryIO, room: _Room) -> None:
    """Copy data where there is some. Files that tell no size (in /proc) and devices are read to their end."""
    status = os.fstat(reading.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        _copy_to_end(reading, writing, room)
        return
    end = copied = 0
    while (part := _next_data(reading, end, status.st_size)) is not None:
        start, end = part
        copied += end - start
        if copied > room.size:
            raise room.error
        os.lseek(reading.fileno(), start, os.SEEK_SET)
        os.lseek(writing.fileno(), start, os.SEEK_SET)
        while start < end:
            chunk = os.read(reading.fileno(), min(_CHUNK, end - start))
            if not chunk:  # it became shorter, or never was as long as it said
                os.ftruncate(writing.fileno(), start)
                return
            _write(writing, chunk)
            start += len(chunk)
    try:
        os.ftruncate(writing.fileno(), status.st_size)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise room.error from error
        raise


def _next_data(reading: BinaryIO, offset: int, size: int) -> tuple[int, int] | None:
    """Begin and end of the next piece of data of a file from an offset on; None when only a hole is left."""
    if offset >= size:
        return None
    try:
        start = os.lseek(reading.fileno(), offset, os.SEEK_DATA)
        return start, min(os.lseek(reading.fileno(), start, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def _copy_to_end(reading: BinaryIO, writing: BinaryIO, room: _Room) -> None:
    copied = 0
    while chunk := os.read(reading.fileno(), _CHUNK):
        copied += len(chunk)
        if copied > room.size:
            raise room.error
        if chunk == _ZEROS[: len(chunk)]:
            os.lseek(writing.fileno(), len(chunk), os.SEEK_CUR)
        else:
            _write(writing, chunk)
    os.ftruncate(writing.fileno(), copied)


def _write(writing: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(writing.fileno(), view) :]
