"""Output files appear whole or not at all: they are written beside their final name and renamed at the end.

A symbolic link in the place of an output is followed, as by other programs: it may lead to another disk.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import InputError
from twinroot.interrupts import held
from twinroot.output.space import naming_full_disk

# 255 (NAME_MAX), less what `replacing` adds to the name while the file is written.
_LONGEST_NAME = 255 - len("..4194304.partial")

_MOST_LINKS = 40  # as many as the kernel follows
_UNKNOWN_USER = 65534


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

    InputError for links that lead in a circle, and for those that the kernel would not follow, whatever its settings
    (protected_symlinks in proc_sys_fs(5)): other users can put them into directories such as /tmp.
    """
    place = path
    for _ in range(_MOST_LINKS):
        try:
            target = place.readlink()
        except OSError:
            return place
        if _is_foreign(place):
            message = "the output path is a symbolic link that another user made in a directory open to all"
            raise InputError(message, where=str(path), hint="name another output file")
        place = place.parent / target
    raise InputError(f"the output path cannot be used: {os.strerror(errno.ELOOP)}", where=str(path))


def _is_foreign(link: Path) -> bool:
    owner, directory = link.lstat().st_uid, link.parent.stat()
    open_to_all = directory.st_mode & stat.S_ISVTX and directory.st_mode & stat.S_IWOTH
    # In a user namespace all users that it does not know have the same number.
    known = owner == os.geteuid() or (owner == directory.st_uid and owner != _UNKNOWN_USER)
    return bool(open_to_all) and not known


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
