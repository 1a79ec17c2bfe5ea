"""A COSI file as the raw disk that it describes: partitions at their places, holes left holes.

Everything is verified on the way: the hash of each image is checked while it is written, so a caller must not use the
disk before `unpack` returned. Filesystems that were shrunk for transport are grown back (COSI spec §6), and the backup
partition table, which a COSI file does not carry (R3), is made anew. They grow in files of
their own before they come to the disk, as resize2fs cannot work inside a larger file (see `e2fsprogs.grow`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.formats import gpt
from twinroot.formats.cosi.layout import Placed, disk_table, placed_images, unplaced_hashes
from twinroot.formats.cosi.model import ImageFile, Metadata
from twinroot.formats.cosi.reader import CosiFile, open_cosi
from twinroot.formats.source import FileRegion
from twinroot.formats.zstd_reader import Piece
from twinroot.output.disk import copy_data
from twinroot.output.space import naming_full_disk
from twinroot.plan.disk import EXT_TYPES
from twinroot.tools import blkid, e2fsprogs
from twinroot.tools.e2fsprogs import Location


def unpack(path: Path, raw: Path, scratch: Path, emit: Emit, *, grow: bool = True) -> tuple[Metadata, gpt.Table]:
    """Write the disk in a COSI file to `raw`; `grow` gives shrunken ext filesystems their partitions' sizes back.

    Raises FormatError for a damaged file and InputError for one that is no whole disk: of a revision without a
    partition table, or with verity hashes in no partition.
    """
    with open_cosi(path) as cosi:
        table = disk_table(cosi)
        for mount_point in unplaced_hashes(cosi.metadata):
            message = f"the verity hashes of {mount_point} have no partition on the disk, which could not start without"
            raise InputError(message, where=str(path), hint="install it with trident, which has a partition for them")
        images = placed_images(cosi, table)
        total = sum(placed.image.uncompressed_size for placed in images)
        growing = _growing(cosi.metadata, images) if grow else set()
        with naming_full_disk(raw.parent, "unpacked disk"), raw.open("wb") as disk:
            disk.truncate(table.disk_size)
            with phase(emit, "unpack", f"Unpacking {path.name}", total=total) as advance:
                grown = _write_images(cosi, images, growing, disk.fileno(), scratch, advance)
            if grown:
                with phase(emit, "grow", "Growing filesystems", total=len(grown), unit="filesystems") as advance:
                    _place_grown(grown, disk.fileno(), advance)
            os.pwrite(disk.fileno(), gpt.primary_bytes(table), 0)
            os.pwrite(disk.fileno(), gpt.backup_bytes(table), gpt.backup_offset(table))
        return cosi.metadata, table


def _growing(metadata: Metadata, images: list[Placed]) -> set[int]:
    """The partitions with shrunken images. What a verity hash tree protects must stay as it is."""
    protected = {filesystem.image.path for filesystem in metadata.images if filesystem.verity}
    return {p.partition.number for p in images if p.shrunk and p.image.path not in protected}


def _write_images(
    cosi: CosiFile, images: list[Placed], growing: set[int], fd: int, scratch: Path, advance: Callable[[int], None]
) -> list[tuple[Placed, Path]]:
    """Write every image to its place, those to grow each to a file of its own, which are returned."""
    done = 0
    apart = []
    for placed in images:
        if placed.partition.number in growing:
            image = scratch / f"partition-{placed.partition.number}.img"
            with naming_full_disk(scratch, "scratch files"), image.open("wb") as file:
                done = _write_image(cosi, placed.image, file.fileno(), 0, done, advance)
                file.truncate(placed.image.uncompressed_size)
            apart.append((placed, image))
        else:
            done = _write_image(cosi, placed.image, fd, placed.offset, done, advance)
    return apart


def _write_image(
    cosi: CosiFile, image: ImageFile, fd: int, offset: int, done: int, advance: Callable[[int], None]
) -> int:
    """Write the data of an image to `offset` of a file; returns `done` plus the image's length."""

    def write(pieces: Iterator[Piece]) -> int:
        length = 0
        for piece in pieces:
            length += piece.length
            if piece.data is not None:
                _pwrite(fd, piece.data, offset + piece.offset)
        return length

    # Closed before the file is, so that no thread writes to another one of that number.
    with closing(cosi.process(image, write)) as parts:
        for length in parts:
            done += length
            advance(done)
    return done


def _pwrite(fd: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count


def _place_grown(apart: list[tuple[Placed, Path]], fd: int, advance: Callable[[int], None]) -> None:
    for done, (placed, image) in enumerate(apart, 1):
        if blkid.probe(image).type in EXT_TYPES:
            e2fsprogs.grow(Location(image), placed.size)
        copy_data(FileRegion(image, 0, image.stat().st_size), fd, placed.offset)
        image.unlink()
        advance(done)
