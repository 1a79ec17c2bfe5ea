"""Having a block device for ourselves."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import BusyError, HostError

PATIENCE = 60.0
"""Seconds to wait for the lock of a disk; udev has it only as long as it looks."""


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
def hidden_from_udev(disk: Path) -> Iterator[None]:
    """While the block runs, udev does not look at a disk, and takes none of its partitions away (systemd's
    BLOCK_DEVICE_LOCKING). Whoever waits for udev waits for the end of the block. BusyError when it stays locked.
    """
    try:
        fd = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(error.strerror or str(error), where=str(disk)) from error
    try:
        _lock(fd, disk)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, disk: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                hint = f"find it with: fuser -v {disk}"
                raise BusyError("another program has locked the disk", where=str(disk), hint=hint) from error
        time.sleep(0.02)
