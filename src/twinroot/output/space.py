"""Telling a full disk from everything else that goes wrong because of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import CommandError, HostError, InputError, NoSpaceError, TwinrootError
from twinroot.units import MIB, human

_FULL = (errno.ENOSPC, errno.EDQUOT)
# How programs say so; package managers ask before they write.
_SAID = ("No space left on device", "Disk quota exceeded", "more space needed on the", "enough free space in")
# With less than this, whatever failed failed for want of it: few programs say so clearly.
_LITTLE = 2 * MIB


@contextmanager
def naming_full_disk(directory: Path, name: str) -> Iterator[None]:
    """Turn the failures that a full disk causes into a NoSpaceError that names `directory`, called `name`.

    Other OSErrors become a HostError, as they are the machine's; other TwinrootErrors pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _no_space(directory, name) from error
        if error.errno == errno.EFBIG:
            message = f"the filesystem of the {name}, or a limit of this process, allows no file that large"
            raise HostError(message, where=str(directory), hint="use a directory on another filesystem") from error
        raise HostError(error.strerror or str(error), where=str(error.filename or directory)) from error
    except TwinrootError as error:
        if not isinstance(error, NoSpaceError) and _for_want_of_space(error, directory):
            raise _no_space(directory, name) from error
        raise


def _for_want_of_space(error: TwinrootError, directory: Path) -> bool:
    failed = error if isinstance(error, CommandError) else error.__cause__
    if not isinstance(failed, CommandError):
        return False
    said = not isinstance(error, InputError) and any(text in failed.output for text in _SAID)
    return said or _free(directory) < _LITTLE


def _no_space(directory: Path, name: str) -> NoSpaceError:
    return NoSpaceError(
        f"the disk that holds the {name} is full ({human(_free(directory))} free)",
        where=str(directory),
        hint="free some space, or use a directory on another disk",
    )


def _free(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize
