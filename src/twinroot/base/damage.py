"""Saying that a filesystem of an image is damaged, which one, and what to do: asked when reading one went wrong."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import CommandError, InputError
from twinroot.plan.disk import EXT_TYPES
from twinroot.plan.facts import BaseFilesystem
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location

# What the kernel says of a file that is no longer as it was written.
_DAMAGED = (errno.EBADMSG, errno.EUCLEAN, errno.EIO)
_AGAIN = "get the image again"
# What e2fsck says besides what is wrong.
_NO_COMPLAINT = re.compile(r"\s*(?:(?:e2fsck|debugfs) \d|Pass \d|Warning: skipping journal|e2fsck: aborted|$)")
# What its programs put before their words: a function of its library, or the path of the program.
_SPEAKER = re.compile(r"(?:ext2fs_\w+|\S*/e2fsck): ")


def unreadable(name: str, raw: Path, filesystem: BaseFilesystem, error: CommandError) -> InputError:
    """The error for a filesystem that a program could not read; `name` is the image's."""
    hint = damage_hint(raw, [filesystem])
    mounted = f", mounted at {filesystem.mount_point}," if filesystem.mount_point else ""
    message = f"the {filesystem.type} filesystem of partition {filesystem.partition.number}{mounted} cannot be read"
    if hint is None:
        message += f": {_complaint(error)}"
        hint = f"it may be damaged: {_AGAIN}, or check it"
    return InputError(message, where=name, hint=hint)


@contextmanager
def naming_damage(name: str, raw: Path, filesystems: Iterable[BaseFilesystem]) -> Iterator[None]:
    """Turn an OSError that a damaged filesystem of an image causes into an InputError that names it."""
    try:
        yield
    except OSError as error:
        hint = damage_hint(raw, filesystems) if error.errno in _DAMAGED else None
        if hint is None:
            raise
        raise InputError(f"{error.filename}: {error.strerror}, said the kernel", where=name, hint=hint) from error


def damage_hint(raw: Path, filesystems: Iterable[BaseFilesystem]) -> str | None:
    """What is damaged, of the ext filesystems on a raw disk, and how that is repaired; None when nothing is."""
    for filesystem in filesystems:
        if filesystem.type not in EXT_TYPES:
            continue
        try:
            e2fsprogs.check(Location(raw, filesystem.offset))
        except CommandError as error:
            place = f"'COPY?offset={filesystem.offset}'"
            return (
                f"the {filesystem.type} filesystem of partition {filesystem.partition.number} is damaged (e2fsck: "
                f"{_complaint(error)}): {_AGAIN}, or repair it in a raw copy with: e2fsck -f {place}"
            )
    return None


def _complaint(error: CommandError) -> str:
    """The first thing that a program found wrong."""
    for line in error.output.splitlines():
        if not _NO_COMPLAINT.match(line):
            return re.sub(r"[. ]*(?:\w+\? no)?$", "", _SPEAKER.sub("", line).strip())
    return f"exit code {error.code}"
