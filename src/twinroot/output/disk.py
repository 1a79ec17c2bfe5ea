"""Disk images: the partitions put together to a raw disk, and that disk in every other format.

Formats and their options: image behaviour spec §26. A fixed VHD is the raw disk with a footer behind it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.epoch import build_time
from twinroot.errors import HostError, InputError
from twinroot.formats import gpt, vhd
from twinroot.formats.source import FileRegion
from twinroot.plan.identity import Identity
from twinroot.tools import qemu_img
from twinroot.units import LARGEST_DISKS, MIB, exact

DISK_FORMATS = ("raw", "qcow2", "vhd", "vhd-fixed", "vhdx")
# qemu's format and options for what is not simply a raw disk.
_CONVERTED = {"qcow2": ("qcow2", None), "vhd": ("vpc", "force_size=on"), "vhdx": ("vhdx", "block_size=2M")}
_COPY_UNIT = 64 * MIB
# What the kernel says when it cannot copy between two files by itself: they lie on different filesystems.
_NOT_IN_KERNEL = (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


@dataclass(frozen=True)
class DiskPart:
    """The content of one partition: `source` goes to `offset` bytes on the disk."""

    offset: int
    source: FileRegion


def write_raw(path: Path, table: gpt.Table, parts: Sequence[DiskPart], progress: Callable[[int], None]) -> None:
    """A sparse raw disk with both partition tables; only data is copied, holes stay holes."""
    done = 0
    with path.open("wb") as disk:
        disk.truncate(table.disk_size)
        for part in parts:
            done += copy_data(part.source, disk.fileno(), part.offset)
            progress(done)
        os.pwrite(disk.fileno(), gpt.primary_bytes(table), 0)
        os.pwrite(disk.fileno(), gpt.backup_bytes(table), gpt.backup_offset(table))


def copy_data(source: FileRegion, target: int, offset: int) -> int:
    """Copy what is not a hole to `offset` of an open file; returns how many bytes that were."""
    done = 0
    with source.opened() as reader, source.path.open("rb") as file:
        for start, end in reader.extents():
            _copy(file.fileno(), source.offset + start, target, offset + start, end - start)
            done += end - start
    return done


def check_disk_size(size: int, disk_format: str) -> None:
    """InputError when the format cannot hold a disk of this size."""
    largest = LARGEST_DISKS.get(disk_format, size)
    if size > largest:
        message = f"the disk has {exact(size)}; one of format {disk_format} has at most {exact(largest)}"
        raise InputError(message, hint="use another output format")


def qemu_target(disk_format: str) -> tuple[str, str | None]:
    """qemu's name of one of DISK_FORMATS, and its options; a fixed VHD is made from a raw disk."""
    return _CONVERTED.get(disk_format, ("raw", None))


def convert_raw(
    raw: Path, target: Path, disk_format: str, identity: Identity, progress: Callable[[float], None]
) -> None:
    """Turn a raw disk (which may be consumed) into `target` in one of DISK_FORMATS."""
    check_disk_size(raw.stat().st_size, disk_format)
    if disk_format in _CONVERTED:
        qemu_format, options = _CONVERTED[disk_format]
        qemu_img.convert(
            raw, target, source_format="raw", target_format=qemu_format, options=options, progress=progress
        )
        return
    if disk_format == "vhd-fixed":
        size = raw.stat().st_size
        with raw.open("ab") as file:
            file.write(vhd.fixed_footer(size, uuid=identity.uuid("vhd"), timestamp=build_time()))
    if raw != target:
        raw.rename(target)


def _copy(source: int, source_offset: int, target: int, target_offset: int, length: int) -> None:
    copied = 0
    while copied < length:
        unit = min(_COPY_UNIT, length - copied)
        count = _copy_some(source, source_offset + copied, target, target_offset + copied, unit)
        if count == 0:
            raise HostError("a file of the build became shorter while it was read")
        copied += count


def _copy_some(source: int, source_offset: int, target: int, target_offset: int, length: int) -> int:
    try:
        return os.copy_file_range(source, target, length, source_offset, target_offset)
    except OSError as error:
        if error.errno not in _NOT_IN_KERNEL:
            raise
    return os.pwrite(target, os.pread(source, min(length, MIB), source_offset), target_offset)
