"""The disk that a COSI file describes: its partition table, and which image belongs where on it."""

from __future__ import annotations

import io
from dataclasses import dataclass

from twinroot.errors import FormatError, InputError
from twinroot.formats import gpt
from twinroot.formats.cosi.model import ImageFile, Metadata
from twinroot.formats.cosi.reader import CosiFile


@dataclass(frozen=True)
class Placed:
    """An image and its partition: `offset` and `size` of the partition on the disk, in bytes."""

    partition: gpt.Partition
    offset: int
    size: int
    image: ImageFile

    @property
    def shrunk(self) -> bool:
        """Whether the image is shorter than its partition."""
        return self.image.uncompressed_size < self.size


def read_table(cosi: CosiFile) -> gpt.Table | None:
    """The partition table in a COSI file; None before revision 1.2, which has none. FormatError when it is damaged."""
    region = cosi.metadata.gpt_region()
    if region is None or cosi.metadata.disk is None:
        return None
    data = cosi.read(region.image)
    try:
        return gpt.read_table(io.BytesIO(data), cosi.metadata.disk.size)
    except FormatError as error:
        raise FormatError(error.message, where=cosi.name, hint=error.hint) from error


def disk_table(cosi: CosiFile) -> gpt.Table:
    """The partition table; InputError for a revision of the format without one."""
    table = read_table(cosi)
    if table is None:
        version = ".".join(map(str, cosi.metadata.version))
        raise InputError(
            f"this COSI file is of revision {version}, which carries filesystems but no disk layout",
            where=cosi.name,
            hint="make it again as COSI 1.2; its content can be shown with: twinroot inspect",
        )
    return table


def placed_images(cosi: CosiFile, table: gpt.Table) -> list[Placed]:
    """Every partition image with its place, from the disk's start on; FormatError when images and table do not fit."""
    regions = {region.number: region.image for region in cosi.metadata.partition_regions()}
    if set(regions) != {partition.number for partition in table.partitions}:
        raise FormatError("the images in the COSI file are not those of its partition table", where=cosi.name)
    found = []
    for partition in table.by_start():
        image = regions[partition.number]
        placed = Placed(partition, table.offset(partition), table.size(partition), image)
        if image.uncompressed_size > placed.size:
            raise FormatError(f"the image of partition {partition.number} is larger than it", where=cosi.name)
        found.append(placed)
    return found


def unplaced_hashes(metadata: Metadata) -> list[str]:
    """The mount points of filesystems whose verity hashes are in no partition (V18), so that a disk lacks them."""
    placed = {region.image.path for region in metadata.partition_regions()}
    return [each.mount_point for each in metadata.images if each.verity and each.verity.image.path not in placed]
