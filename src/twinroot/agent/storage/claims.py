"""Having a block device for ourselves."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import BusyError, HostError

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds to wait for the lock of a disk; udev has it only as long as it looks."""
_SILENCE = 2.0  # seconds, after which we tell that we wait


@contextmanager
def claimed(device: Path) -> Iterator[None]:
    """The block device for us alone: the kernel refuses where it or a partition of it is mounted or held."""
    try:
        fd = os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:
            hint = "unmount it or stop what uses it"
            raise BusyError("the device is in use", where=str(device), hint=hint) from error
        raise HostError(error.strerror or str(error), where=str(device)) from error
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def hidden_from_udev(disk: Path, *, only_look: bool = False) -> Iterator[None]:
    """While the block runs, udev does not read the table of a disk, and takes none of its partitions away (systemd's
    BLOCK_DEVICE_LOCKING). BusyError when another program keeps it locked.

    With `only_look` udev and others that look may do so at the same time. Without, udev up to version 250 forgets what
    happens meanwhile: `block_devices.announce` has it look again.
    """
    try:
        fd = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(error.strerror or str(error), where=str(disk)) from error
    try:
        _lock(fd, fcntl.LOCK_SH if only_look else fcntl.LOCK_EX, disk)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, kind: int, disk: Path) -> None:
    begun, told = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            waited = time.monotonic() - begun
            if waited > PATIENCE:
                hint = "find it with: lslocks"
                raise BusyError("another program has locked the disk", where=str(disk), hint=hint) from error
        if waited > _SILENCE and not told:
            log.info("Waiting for another program to unlock %s", disk)
            told = True
        time.sleep(0.02)
