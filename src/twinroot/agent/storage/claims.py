"""Having a block device for ourselves."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import BusyError, HostError


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
    BLOCK_DEVICE_LOCKING). Whoever waits for udev waits for the end of the block.
    """
    try:
        fd = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(error.strerror or str(error), where=str(disk)) from error
    try:
        # It holds the lock only as long as it looks.
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
