"""A COSI file of a whole disk: partitions with any contents, some shorter than their partitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from twinroot.formats import gpt
from twinroot.formats.cosi import model, writer
from twinroot.formats.source import BytesRegion
from twinroot.units import ESP, MIB, partition_type

ROOT = partition_type("root", "x86_64")
_FILESYSTEM_UUID = "88d2fa9b-7a32-450a-a9f8-aa9c3de7929{number}"


@dataclass(frozen=True)
class Part:
    """A partition of `size` MiB that begins with some bytes; with a mount point it is a filesystem of the metadata."""

    contents: bytes
    size: int
    mount_point: str = ""
    fs_type: str = "ext4"

    @property
    def type(self) -> UUID:
        """Its type in the table."""
        return ESP if self.fs_type == "vfat" else ROOT


def table_of(parts: tuple[Part, ...], disk_size: int, sector_size: int = 512) -> gpt.Table:
    """The partitions one after the other from the first MiB on."""
    entries, start = [], MIB // sector_size
    for number, part in enumerate(parts, 1):
        end = start + part.size * MIB // sector_size
        entries.append(gpt.Partition(number, part.type, UUID(int=number), start, end - 1, 0, f"part-{number}"))
        start = end
    return gpt.Table(UUID(int=99), disk_size, tuple(entries), sector_size)


def write_disk_cosi(path: Path, *parts: Part, disk_size: int, os_arch: str = "x86_64") -> Path:
    """Write it."""
    plan = writer.CosiPlan(
        image_id=UUID("5a2d4c0e-6b0e-4b7e-9f64-0b5d1c2e3f40"),
        os_arch=os_arch,
        os_release="ID=test\n",
        disk_size=disk_size,
        gpt=gpt.primary_bytes(table_of(parts, disk_size)),
        base="disk",
        partitions=tuple(
            writer.PartitionImage(number, BytesRegion(part.contents)) for number, part in enumerate(parts, 1)
        ),
        filesystems=tuple(
            writer.FilesystemPlan(
                number, part.mount_point, part.fs_type, _FILESYSTEM_UUID.format(number=number), part.type
            )
            for number, part in enumerate(parts, 1)
            if part.mount_point
        ),
        packages=(),
        bootloader=model.Bootloader("grub"),
    )
    writer.write_cosi(path, plan, level=3)
    return path
