"""Writes a COSI 1.2 file in one pass (COSI spec 2 and 7, image behaviour 27).

    cosi-marker            header
    metadata.json          header, then as many bytes as the document can need at most
    images/…_gpt.raw.zst   header, 24-byte skippable frame with the image id, zstd frames, zeros up to 512
    images/…_<n>.raw.zst   the same for each partition, in the order in which they lie on the disk
    1024 zero bytes

What is known only at the end (compressed sizes, hashes, window size) is written into the reserved places afterwards;
the document is padded with spaces. The file is written beside its final name and renamed when it is complete and on
disk; whatever goes wrong leaves nothing behind. The same plan gives the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from twinroot.errors import FormatError, HostError, NoSpaceError
from twinroot.formats import gpt
from twinroot.formats.cosi import metadata as documents
from twinroot.formats.cosi import model, tar
from twinroot.formats.source import BytesRegion, Source
from twinroot.formats.zstd_frames import FrameCompressor
from twinroot.formats.zstd_headers import SKIPPABLE_MAGIC
from twinroot.interrupts import held
from twinroot.units import ARCHITECTURES, MIB, round_up

MARKER = "cosi-marker"
METADATA = "metadata.json"
Progress = Callable[[int], None]

# The largest compressed size and window a document can have to name, for reserving its space.
_LARGEST_SIZE = 10**19
_LARGEST_WINDOW = 31


@dataclass(frozen=True)
class PartitionImage:
    """The contents of a partition by its number in the table; may be shorter than the partition (shrunk)."""

    number: int
    source: Source


@dataclass(frozen=True)
class VerityPlan:
    """The hash tree of a filesystem: the partition that holds it, its root hash in hex.

    `hash_offset` (bytes) is set when the tree lies behind the data in the same partition.
    """

    hash_partition: int
    roothash: str
    hash_offset: int | None = None


@dataclass(frozen=True)
class FilesystemPlan:
    """A filesystem with a mount point and the partition it is in."""

    partition: int
    mount_point: str
    fs_type: str
    fs_uuid: str
    part_type: UUID
    verity: VerityPlan | None = None


@dataclass(frozen=True)
class CosiPlan:
    """Everything that goes into a COSI file. Sizes in bytes.

    `base` is what member names begin with, usually the output file's name without its last extension. `gpt` is what
    `gpt.primary_bytes` gives. `partitions` has one entry for each partition of that table, in any order.
    """

    image_id: UUID
    os_arch: str
    os_release: str
    disk_size: int
    gpt: bytes
    base: str
    partitions: tuple[PartitionImage, ...]
    filesystems: tuple[FilesystemPlan, ...]
    packages: tuple[model.Package, ...]
    bootloader: model.Bootloader
    lba_size: int = 512

    @property
    def total(self) -> int:
        """Input bytes, holes included: what progress counts up to."""
        return len(self.gpt) + sum(image.source.length for image in self.partitions)

    def gpt_member(self) -> str:
        """The member name of the partition table."""
        return f"images/{self.base}_gpt.raw.zst"

    def member(self, number: int) -> str:
        """The member name of a partition."""
        return f"images/{self.base}_{number}.raw.zst"


@dataclass(frozen=True)
class _Region:
    member: str
    number: int | None
    source: Source


def write_cosi(
    path: Path,
    plan: CosiPlan,
    *,
    level: int = 3,
    threads: int | None = None,
    progress: Progress = lambda _done: None,
) -> model.Metadata:
    """Write the file and return the metadata it carries.

    `level` is the zstd level, 1 to 22. `progress` gets the input bytes done so far, of `plan.total`. Raises
    FormatError for a plan that breaks a rule of the format (MetadataError with all of them for the metadata),
    NoSpaceError and HostError when the file cannot be written.
    """
    regions = _regions(plan)
    draft = _metadata(plan, {region.member: _largest(region) for region in regions}, _LARGEST_WINDOW)
    _check(draft)
    reserved = round_up(len(documents.sealed(draft)), tar.BLOCK)
    with FrameCompressor(level, threads) as compressor, _beside(path) as file:
        file.write(tar.header(MARKER, 0) + tar.header(METADATA, reserved, documents.INTEGRITY_OWNER) + bytes(reserved))
        files = _write_regions(file, plan.image_id, regions, compressor, progress)
        file.write(tar.END)
        final = _metadata(plan, files, compressor.window_log)
        file.seek(2 * tar.BLOCK)
        file.write(documents.sealed(final, reserved))
    return final


def skippable_frame(image_id: UUID) -> bytes:
    """The 24 bytes before each image's data: a zstd frame that decoders skip, holding the image id."""
    return SKIPPABLE_MAGIC.to_bytes(4, "little") + (16).to_bytes(4, "little") + image_id.bytes


def _regions(plan: CosiPlan) -> list[_Region]:
    """The table and the partitions in physical order, checked against each other."""
    table = gpt.read_table(io.BytesIO(plan.gpt), plan.disk_size)
    if table.sector_size != plan.lba_size or len(plan.gpt) != len(gpt.primary_bytes(table)):
        raise FormatError("the partition table for the COSI file must end with its entry array")
    images = sorted(plan.partitions, key=lambda image: image.number)
    for image, partition in zip_longest(images, table.partitions):
        if image is None or partition is None or image.number != partition.number:
            raise FormatError("the images for the COSI file and the partitions of its table are not the same")
        if image.source.length > table.size(partition):
            raise FormatError(f"the image of partition {image.number} is larger than the partition")
    sources = {image.number: image.source for image in images}
    return [
        _Region(plan.gpt_member(), None, BytesRegion(plan.gpt)),
        *(_Region(plan.member(p.number), p.number, sources[p.number]) for p in table.by_start()),
    ]


def _largest(region: _Region) -> model.ImageFile:
    return model.ImageFile(region.member, _LARGEST_SIZE, region.source.length, "0" * 96)


def _metadata(plan: CosiPlan, files: dict[str, model.ImageFile], window_log: int) -> model.Metadata:
    """The document for a plan whose images came out as `files`, which are in physical order."""
    numbers = {plan.member(image.number): image.number for image in plan.partitions}
    regions = tuple(
        model.Region(file, "partition" if name in numbers else "primary-gpt", numbers.get(name))
        for name, file in files.items()
    )
    packages = (
        model.Package(p.name, p.version, p.release or "", model.package_architecture(p.arch or ""))
        for p in plan.packages
    )
    return model.Metadata(
        version=model.CURRENT,
        os_arch=ARCHITECTURES.get(plan.os_arch.lower(), plan.os_arch),
        os_release=plan.os_release,
        images=tuple(_filesystem(plan, filesystem, files) for filesystem in plan.filesystems),
        disk=model.Disk(plan.disk_size, "gpt", plan.lba_size, regions),
        packages=tuple(packages),
        bootloader=plan.bootloader,
        id=plan.image_id,
        max_window_log=window_log,
    )


def _filesystem(plan: CosiPlan, planned: FilesystemPlan, files: dict[str, model.ImageFile]) -> model.Filesystem:
    numbers = [planned.partition, *([planned.verity.hash_partition] if planned.verity else [])]
    for number in numbers:
        if plan.member(number) not in files:
            raise FormatError(f"the filesystem at {planned.mount_point} is in partition {number}, which does not exist")
    verity = planned.verity and model.Verity(
        files[plan.member(planned.verity.hash_partition)], planned.verity.roothash, planned.verity.hash_offset
    )
    image = files[plan.member(planned.partition)]
    return model.Filesystem(
        image, planned.mount_point, planned.fs_type, planned.fs_uuid, planned.part_type, verity or None
    )


def _check(draft: model.Metadata) -> None:
    """Refuse what a strict reader would refuse, before any work is done.

    One demand is left to the reader: an image without a mounted EFI system partition (A3) is still an image.
    """
    findings = documents.inspect(documents.to_json(draft), strict=True).findings
    errors = [finding for finding in findings if finding.error and finding.rule != "A3"]
    if errors:
        raise documents.MetadataError(errors)


def _write_regions(
    file: BinaryIO, image_id: UUID, regions: list[_Region], compressor: FrameCompressor, progress: Progress
) -> dict[str, model.ImageFile]:
    """Write the images with their headers; returns them by member name, in their order in the file."""
    files: dict[str, model.ImageFile] = {}
    done = 0
    for region in regions:
        start = file.tell()
        file.write(bytes(tar.BLOCK))
        digest = hashlib.sha384()
        size = 0
        for data, length in _data(region, image_id, compressor):
            digest.update(data)
            file.write(data)
            size += len(data)
            done += length
            progress(done)
        file.write(bytes(round_up(size, tar.BLOCK) - size))
        end = file.tell()
        file.seek(start)
        file.write(tar.header(region.member, size))
        file.seek(end)
        files[region.member] = model.ImageFile(region.member, size, region.source.length, digest.hexdigest())
    return files


def _data(region: _Region, image_id: UUID, compressor: FrameCompressor) -> Iterator[tuple[bytes, int]]:
    """The bytes of a member, each with the count of input bytes behind it."""
    yield skippable_frame(image_id), 0
    for frame in compressor.frames(region.source):
        yield frame.data, frame.length


@contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when all went well, and disappears otherwise."""
    partial: Path | None = None
    try:
        with held():
            fd, name = tempfile.mkstemp(prefix=f".{path.name[:200]}.", suffix=".partial", dir=path.parent)
            partial = Path(name)
        with open(fd, "w+b", buffering=MIB) as file:  # noqa: PTH123 - an open descriptor has no path
            yield file
            file.flush()
            os.fchmod(fd, 0o666 & ~_umask())
            os.fsync(fd)
        partial.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space or choose another place"
            raise NoSpaceError("no space is left for the COSI file", where=str(path.parent), hint=hint) from error
        raise HostError(f"cannot write the COSI file: {error}", where=str(path)) from error
    finally:
        if partial is not None:
            with held():
                partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
