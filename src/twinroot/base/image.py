"""Opening a base image of any input format: what it is, and a raw view of its disk.

Input formats: raw, qcow2, vhd (dynamic and fixed), vhdx. The file itself is never written.
Facts: image behaviour spec §2.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import CommandError, FormatError, InputError
from twinroot.formats import gpt, qcow2, vhd, vhdx
from twinroot.tools import qemu_img
from twinroot.units import MIB

# qemu's names of the formats we take, with the names people use.
_FORMATS = {"raw": "raw", "qcow2": "qcow2", "vpc": "vhd", "vhdx": "vhdx"}

_AGAIN = "download or copy it again"
# What qemu-img puts before what it has to say, also several times.
_PREFIX = re.compile(r"^(?:qemu-img: )?(?:Could not open '[^']*': )*")
_PROGRESS = re.compile(r"\s*(?:\([0-9.]+/100%\)\s*)?")
_SECTOR = 512
_SIGNATURE = b"\x55\xaa"  # of a boot sector, and of the protective MBR of a GPT


@dataclass(frozen=True)
class DiskImage:
    """An image file: `format` as people name it (raw, qcow2, vhd, vhd-fixed, vhdx), `size` of the disk in bytes."""

    path: Path
    format: str
    size: int

    @property
    def qemu_format(self) -> str:
        """qemu's name of the format."""
        return "vpc" if self.format.startswith("vhd") and self.format != "vhdx" else self.format


@dataclass(frozen=True)
class RawDisk:
    """A disk as a plain file, with its partition table."""

    path: Path
    table: gpt.Table


def probe(path: Path) -> DiskImage:
    """Find out what an image file is; InputError when it cannot be a disk image that we can read."""
    if not path.exists():
        raise InputError("the image file does not exist", where=str(path))
    if not path.is_file():
        raise InputError("this is not a file", where=str(path), hint="name a disk image file")
    size = path.stat().st_size
    if size == 0:
        raise InputError("the image file is empty (0 bytes)", where=str(path))
    try:
        found = qemu_img.info(path)
    except CommandError as error:
        raise damaged(path, error) from error
    if found.format not in _FORMATS:
        raise InputError(
            f"images of format '{found.format}' cannot be used",
            where=str(path),
            hint=f"convert it to one of {', '.join(_FORMATS.values())}",
        )
    other = found.backing_file or found.data_file
    if other:
        raise InputError(
            f"the image needs another file ({other})",
            where=str(path),
            hint="flatten it first: qemu-img convert -O qcow2 IMAGE FLAT.qcow2",
        )
    return _vhd(path, size) or DiskImage(path, _FORMATS[found.format], found.virtual_size)


def open_raw(image: DiskImage, scratch: Path, progress: Callable[[float], None] | None = None) -> RawDisk:
    """The disk as a raw file: the file itself when it is raw, else a sparse copy in `scratch`."""
    raw = scratch / "base.raw"
    if image.format in ("raw", "vhd-fixed"):
        # By a name of ours: e2fsprogs and mtools read `?` and `@@` in a file's name as the beginning of an offset.
        raw = scratch / "link.raw"
        if raw.is_symlink():
            raw.unlink()
        raw.symlink_to(image.path.resolve())
    else:
        _check_length(image)
        try:
            qemu_img.convert(image.path, raw, source_format=image.qemu_format, target_format="raw", progress=progress)
        except CommandError as error:
            if "No space left" in error.output:
                raise
            raise damaged(image.path, error) from error
    return RawDisk(raw, read_table(raw, image))


def read_table(raw: Path, image: DiskImage) -> gpt.Table:
    """The partition table; FormatError naming the image when there is none or the disk ends too early."""
    check_whole(image, raw)
    try:
        with raw.open("rb") as stream:
            return gpt.read_table(stream, image.size)
    except FormatError as error:
        length = image.path.stat().st_size
        short = f"the file has only {length} bytes; was it transferred completely?"
        hint = error.hint or (short if length < MIB else None)
        raise FormatError(error.message, where=str(image.path), hint=hint) from error


def _check_length(image: DiskImage) -> None:
    """FormatError when the file ends before its last data, for which qemu would read zeros without a word."""
    try:
        if image.format == "vhdx":
            with image.path.open("rb") as file:
                end = vhdx.data_end(file)
        else:
            end = _tables_end(image)
            if end <= image.path.stat().st_size:
                end = qemu_img.data_end(image.path, image.qemu_format)
    except FormatError as error:
        raise _without_tables(image.path, error) from error
    except CommandError as error:
        raise damaged(image.path, error) from error
    if end > image.path.stat().st_size:
        raise _cut_off(image.path, end)


def _tables_end(image: DiskImage) -> int:
    if image.format != "qcow2":
        return 0
    with image.path.open("rb") as file:
        return qcow2.tables_end(file)


def _cut_off(path: Path, end: int) -> FormatError:
    message = f"the image is cut off: its data goes up to {end} bytes, the file has {path.stat().st_size}"
    return FormatError(message, where=str(path), hint=_AGAIN)


def _without_tables(path: Path, error: FormatError) -> FormatError:
    return FormatError(f"the image file is damaged or cut off: {error.message}", where=str(path), hint=_AGAIN)


def damaged(path: Path, error: CommandError) -> InputError:
    """The error for an image file that qemu-img does not read."""
    try:
        if (end := _data_end(path)) > path.stat().st_size:
            return _cut_off(path, end)
    except FormatError as found:
        return _without_tables(path, found)
    last = [line for line in error.output.splitlines() if not _PROGRESS.fullmatch(line)][-1:]
    words = _PREFIX.sub("", last[0]) if last else f"exit code {error.code}"
    return InputError(f"the image file is damaged or cut off; qemu-img says: {words}", where=str(path), hint=_AGAIN)


def _data_end(path: Path) -> int:
    """Where a file must end at the earliest by its own tables, 0 when it says nothing; FormatError without tables."""
    with path.open("rb") as file:
        begin = file.read(8)
        if begin == vhdx.SIGNATURE:
            return vhdx.data_end(file)
        if begin == vhd.COOKIE:
            return vhd.dynamic_end(file)
        return qcow2.tables_end(file) if begin.startswith(qcow2.MAGIC) else 0


def check_disk(image: DiskImage) -> None:
    """InputError or FormatError for what cannot be a disk that starts or is partitioned, or is cut off.

    Without another sign of what it is, any file passes for a raw disk; a partitioned one has the signature of a boot
    sector.
    """
    if image.format == "raw":
        length = image.path.stat().st_size
        with image.path.open("rb") as stream:
            signature = stream.read(_SECTOR)[-2:]
        if length % _SECTOR or signature != _SIGNATURE:
            message = "this is no disk image: it does not begin with a boot sector"
            raise InputError(message, where=str(image.path), hint="give a raw, qcow2, vhd or vhdx disk, or a COSI file")
    check_whole(image)


def check_whole(image: DiskImage, raw: Path | None = None) -> None:
    """FormatError when the rest of the file is missing: its own data, or a partition, lies beyond its end.

    `raw` is the disk where the image itself is not raw. A disk without a table, or with a damaged one, passes.
    """
    if raw is None and image.format not in ("raw", "vhd-fixed"):
        _check_length(image)
        return
    try:
        with (raw or image.path).open("rb") as stream:
            table = gpt.read_table(stream)
    except FormatError:
        return
    # Of the backup table, which is written anew, only the place must be there.
    there = image.size // table.sector_size - 2 - table.array_sectors
    if any(partition.last_lba > there for partition in table.partitions):
        raise FormatError(
            f"the image is cut off: its partition table is for {table.disk_size} bytes, the disk has {image.size}",
            where=str(image.path),
            hint=_AGAIN,
        )


def _vhd(path: Path, size: int) -> DiskImage | None:
    """A VHD by its footer, which qemu-img does not look at in fixed ones; None for everything else."""
    with path.open("rb") as file:
        file.seek(max(0, size - 512))
        footer = vhd.read_footer(file.read(512))
    if footer is None:
        return None
    if footer.sized_by_geometry and footer.geometry_size != footer.size:
        raise InputError(
            "the size of this VHD follows its disk geometry, so its real size is unknown",
            where=str(path),
            hint="make it with: qemu-img convert -O vpc -o force_size=on",
        )
    return DiskImage(path, "vhd-fixed" if footer.kind is vhd.Kind.FIXED else "vhd", footer.size)
