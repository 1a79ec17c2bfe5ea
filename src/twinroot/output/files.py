"""Output files appear whole or not at all: they are written beside their final name and renamed at the end.

A symbolic link in the place of an output is followed, as by other programs: it may lead to another disk.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import InputError
from twinroot.interrupts import held
from twinroot.output.space import naming_full_disk

# 255 (NAME_MAX), less what `replacing` adds to the name while the file is written.
_LONGEST_NAME = 255 - len("..4194304.partial")

_MOST_LINKS = 40  # as many as the kernel follows
_UNKNOWN_USER = 65534
_ALL_USERS = ["0", "0", "4294967295"]  # the map of the host's own namespace
_OWN = "name the file itself; without the option, or with the shell's redirection, it goes to standard output"


def check_output(path: Path, inputs: Iterable[Path] = ()) -> None:
    """InputError when a file cannot be written there, or is one of the inputs; to be asked before any work starts."""
    place = followed(path)
    if path.exists() and any(each.exists() and path.samefile(each) for each in inputs):
        raise InputError("the output is one of the input files", where=str(path), hint="name another output file")
    if path.is_dir():
        raise InputError("the output path is a directory", where=str(path), hint="name a file")
    if path.exists() and not path.is_file():
        raise InputError("the output path is a device or the like, not a file", where=str(path), hint="name a file")
    if len(os.fsencode(place.name)) > _LONGEST_NAME:
        raise InputError(f"the name of the output file is longer than {_LONGEST_NAME} bytes", where=str(path))
    if not place.parent.is_dir():
        raise InputError(
            f"the output directory {place.parent} does not exist", where=str(path), hint=f"mkdir -p {place.parent}"
        )
    if not os.access(place.parent, os.W_OK):
        raise InputError(f"the output directory {place.parent} is not writable for this user", where=str(path))


def followed(path: Path) -> Path:
    """Where an output lies: the path itself, or what a symbolic link there leads to, which need not exist.

    InputError for links that lead in a circle, for those of /proc, whose text is not where they lead, and for those of
    users who could have us write where they may not: root follows only its own, and those of whom it works for (sudo);
    nobody follows what the kernel would not, whatever its settings (protected_symlinks in proc_sys_fs(5)).
    """
    place = path
    for _ in range(_MOST_LINKS):
        if Path(os.path.realpath(place.parent)).is_relative_to("/proc"):
            raise InputError("the output path leads to an open file, or the like, of /proc", where=str(path), hint=_OWN)
        link = _link_at(place)
        if link is None:
            if place is not path and not _is_same(path, place):
                raise InputError(f"the output path does not lead to {place}, as it says", where=str(path), hint=_OWN)
            return place
        if link.is_foreign:
            message = "the output path is a symbolic link that another user made"
            raise InputError(message, where=str(path), hint="name another output file")
        place = place.parent / link.target
    raise InputError(f"the output path cannot be used: {os.strerror(errno.ELOOP)}", where=str(path))


@dataclass(frozen=True)
class _Link:
    target: str
    is_foreign: bool


def _link_at(place: Path) -> _Link | None:
    """The symbolic link in a place, if one is there. It is looked at once, as others may exchange it meanwhile."""
    with ExitStack() as opened:
        try:
            directory = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, directory)
            link = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            opened.callback(os.close, link)
        except OSError:
            return None
        status = os.fstat(link)
        if not stat.S_ISLNK(status.st_mode):
            return None
        return _Link(os.readlink("", dir_fd=link), _is_foreign(status.st_uid, os.fstat(directory)))


def _is_foreign(owner: int, directory: os.stat_result) -> bool:
    user = os.geteuid()
    if user == 0 and owner not in _above_root():
        return True
    open_to_all = directory.st_mode & stat.S_ISVTX and directory.st_mode & stat.S_IWOTH
    # In a user namespace all users that it does not know have the same number.
    known = owner == user or (owner == directory.st_uid and owner != _UNKNOWN_USER)
    return bool(open_to_all) and not known


def _above_root() -> set[int]:
    """Users whose links cannot have root do more than they may: itself, and whoever became root by sudo.

    In a user namespace "root" is a user of the host, and users without a number there are none of its subordinates.
    """
    found, caller = {0}, os.environ.get("SUDO_UID", "")
    if caller.isascii() and caller.isdigit():
        found.add(int(caller))
    with suppress(OSError):
        if Path("/proc/self/uid_map").read_text().split() != _ALL_USERS:
            found.add(_UNKNOWN_USER)
    return found


def _is_same(path: Path, place: Path) -> bool:
    """Whether the kernel finds the same file in both, or in neither."""
    return _identity(path) == _identity(place)


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name to write to; on success it is synced and takes the place of `path`, otherwise it is removed.

    What a run that was killed (SIGKILL, power cut) left beside `path` is removed too. A link is followed.
    """
    path = followed(path)
    _remove_orphans(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with naming_full_disk(path.parent, "output"):
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            with held(too_late=True):
                partial.replace(path)
    finally:
        with held():
            partial.unlink(missing_ok=True)


def _remove_orphans(path: Path) -> None:
    """Remove unfinished files for `path` whose process is no more; their names hold its id."""
    pattern = re.compile(rf"\.{{1,2}}{re.escape(path.name)}\.(\d+)\.partial(\..+\.partial)?")
    for entry in path.parent.iterdir():
        match = pattern.fullmatch(entry.name)
        if match and not Path("/proc", match.group(1)).exists():
            entry.unlink(missing_ok=True)
