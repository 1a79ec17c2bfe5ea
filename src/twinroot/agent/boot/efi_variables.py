"""Variables of the firmware through the kernel's efivarfs.

A variable is a file `NAME-GUID` that holds four bytes of attributes, little endian, and the value (efivarfs of the
kernel's documentation). A value must arrive in one write. The kernel marks most variables immutable, so that nobody
makes a machine unbootable by `rm -r`; the mark comes off for a write and goes back on.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.errors import FormatError, HostError, NoSpaceError

log = logging.getLogger(__name__)

EFIVARS = Path("/sys/firmware/efi/efivars")
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""Vendor of the boot variables (EFI_GLOBAL_VARIABLE)."""
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
"""Vendor of the variables that systemd-boot reads and writes (Boot Loader Interface)."""

_LASTING = 7  # non-volatile, for boot services and at run time
_HEAD = struct.Struct("<I")
_MAX_VALUE = 1024 * 1024  # bytes; far more than any firmware keeps
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10  # linux/fs.h
_NO_FLAGS = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True)
class Variable:
    """The name of a variable and its vendor's GUID."""

    name: str
    vendor: str = GLOBAL

    @property
    def file_name(self) -> str:
        """Its name in efivarfs."""
        return f"{self.name}-{self.vendor}"


@dataclass(frozen=True)
class Set:
    """Give a variable a value that outlasts switching off."""

    variable: Variable
    value: bytes


@dataclass(frozen=True)
class Delete:
    """Take a variable away."""

    variable: Variable


Change = Set | Delete


@dataclass(frozen=True)
class EfiVariables:
    """The variables in a directory: efivarfs, or one with files of its format."""

    directory: Path = EFIVARS

    def read(self, variable: Variable) -> bytes | None:
        """The value of a variable; None when there is none. ServicingError when it cannot be read."""
        try:
            content = _read(self.directory / variable.file_name)
        except OSError as error:
            message = f"the firmware's variable {variable.name} cannot be read: {error.strerror}"
            raise ServicingError("read-efi-variable", message) from error
        # A file without content is what a write that the firmware refused leaves behind.
        return content[_HEAD.size :] if content and len(content) >= _HEAD.size else None

    def names(self, vendor: str = GLOBAL) -> tuple[str, ...]:
        """The names of the variables of a vendor, sorted; HostError on a machine without UEFI."""
        try:
            entries = sorted(entry.name for entry in os.scandir(self.directory))
        except OSError as error:
            message = f"the firmware's variables cannot be listed: {error.strerror}"
            hint = "start the machine by UEFI, and mount efivarfs there"
            raise HostError(message, where=str(self.directory), hint=hint) from error
        ending = f"-{vendor}"
        return tuple(name.removesuffix(ending) for name in entries if name.endswith(ending))

    def carry_out(self, changes: Iterable[Change]) -> None:
        """Make changes one after the other. ServicingError for the first that fails; those after it are not made."""
        for change in changes:
            if isinstance(change, Set):
                self._write(change)
            else:
                self._delete(change)

    def _write(self, change: Set) -> None:
        variable = change.variable
        if self.read(variable) == change.value:
            return  # Firmware keeps its variables in flash, of which each write uses up a bit.
        log.info("Setting the firmware's variable %s", variable.name)
        path = self.directory / variable.file_name
        try:
            with _mutable(path):
                _write(path, _HEAD.pack(_LASTING) + change.value)
        except OSError as error:
            raise _failure(variable, "set", error) from error
        if self.read(variable) != change.value:
            message = f"the firmware took a value for its variable {variable.name}, and has another one"
            raise ServicingError("set-efi-variable", message, hint="update the machine's firmware")

    def _delete(self, change: Delete) -> None:
        path = self.directory / change.variable.file_name
        log.info("Removing the firmware's variable %s", change.variable.name)
        try:
            with _mutable(path):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _failure(change.variable, "removed", error) from error


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FormatError("this is no plain file, so it is no variable of the firmware", where=str(path))
        content = b""
        while len(content) <= _MAX_VALUE and (part := file.read(_MAX_VALUE)):
            content += part
    return content


def _write(path: Path, content: bytes) -> None:
    """Write in one call. What the firmware refused leaves no empty file behind."""
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        written = os.write(descriptor, content)
        if written != len(content):
            raise OSError(errno.EIO, f"only {written} of {len(content)} bytes were taken")
        if os.fstat(descriptor).st_size > len(content):
            # Not in efivarfs, where each write is a whole value, but in a plain directory.
            os.ftruncate(descriptor, len(content))
    except OSError:
        if new:
            with suppress(OSError):
                path.unlink()
        raise
    finally:
        os.close(descriptor)


@contextmanager
def _mutable(path: Path) -> Iterator[None]:
    """Without the immutable mark for as long as the block runs, where the file has one."""
    flags = _flags(path)
    if not flags & _IMMUTABLE:
        yield
        return
    _set_flags(path, flags & ~_IMMUTABLE)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            _set_flags(path, flags)


def _flags(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        found = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
        return struct.unpack("<I", found[:4])[0]  # type: ignore[no-any-return]
    except OSError as error:
        if error.errno in _NO_FLAGS:
            return 0
        raise
    finally:
        os.close(descriptor)


def _set_flags(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("<Q", flags))
    finally:
        os.close(descriptor)


def _failure(variable: Variable, verb: str, error: OSError) -> ServicingError | HostError:
    message = f"the firmware's variable {variable.name} cannot be {verb}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(message, hint="remove boot entries that nobody needs, or reset the firmware's settings")
    hints = {
        errno.EROFS: "mount efivarfs for writing: mount -o remount,rw /sys/firmware/efi/efivars",
        errno.EPERM: "run as root on the machine itself; in a container, efivarfs must be shared with it",
        errno.EACCES: "run as root",
        errno.ENOENT: "start the machine by UEFI, and mount efivarfs there",
    }
    return ServicingError("set-efi-variable", message, hint=hints.get(error.errno or 0))
