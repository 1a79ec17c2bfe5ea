"""`storage`: disks, partitions, file systems, mount points (image-config spec, sections 4.4 to 4.9).

Sizes are in bytes. What holds between fields is in `storage_rules`, where partitions come to lie in `layout`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from twinroot.config.scalars import (
    DiskSize,
    EmptyIsUnset,
    GptLabel,
    InImagePath,
    MountOptions,
    NonEmptyStr,
    PartitionSize,
    PartitionType,
    PositiveDiskSize,
)
from twinroot.config.section import Section, ShortSection

BootType = Literal["efi", "legacy"]
FilesystemType = Literal["ext4", "xfs", "vfat", "fat32", "btrfs"]
MountIdType = Literal["uuid", "part-uuid", "part-label"]


class MountPoint(ShortSection):
    """Where a file system is mounted; a path alone may stand for the object."""

    short_form: ClassVar[str] = "path"

    path: InImagePath = Field(description="Absolute path in the image.")
    options: MountOptions = Field(default="", description="Mount options for fstab, where empty means `defaults`.")
    id_type: Annotated[MountIdType | None, EmptyIsUnset] = Field(
        default=None, description="How fstab names the device. The default is `part-uuid`."
    )


class Filesystem(Section):
    """A file system on a partition."""

    device_id: NonEmptyStr = Field(description="Id of the partition.")
    type: Annotated[FilesystemType | None, EmptyIsUnset] = Field(
        default=None,
        description="Type of the file system; `fat32` and `vfat` are the same. Without it the partition stays empty.",
    )
    mount_point: MountPoint | None = Field(default=None, description="Where it is mounted.")

    @property
    def is_fat(self) -> bool:
        """Whether it is FAT, in either spelling."""
        return self.type in ("fat32", "vfat")


class Partition(Section):
    """A partition. Its number is its position in the list."""

    id: str = Field(default="", description="Name by which the configuration refers to it; unique.")
    label: GptLabel = Field(default="", description="Partition name in the GPT: ASCII, at most 35 characters.")
    start: DiskSize | None = Field(
        default=None, description="First byte. The default is the end of the partition before, 1M for the first."
    )
    end: DiskSize | None = Field(default=None, description="First byte after the partition. Not with `size`.")
    size: PartitionSize = Field(
        default=None,
        description="Size, or `grow` to fill the disk. Only the last partition may grow or have neither size nor end.",
    )
    type: PartitionType = Field(
        default="linux-generic", description="Name of a partition type or its UUID. The default is `linux-generic`."
    )

    @property
    def is_open(self) -> bool:
        """Whether it takes what is left of the disk."""
        return self.end is None and not isinstance(self.size, int)


class Disk(Section):
    """A disk to create."""

    partition_table_type: Literal["gpt"] = Field(description="Kind of the partition table.")
    max_size: PositiveDiskSize | None = Field(
        default=None, description="Size of the disk. The default is the end of the last partition and 1 MiB."
    )
    partitions: tuple[Partition, ...] = Field(default=(), description="Partitions in the order of their numbers.")


class Storage(Section):
    """Partitions and file systems. With `disks` the image is partitioned anew."""

    boot_type: Annotated[BootType | None, EmptyIsUnset] = Field(
        default=None, description="How the image boots. Required with `disks`, not allowed without."
    )
    disks: tuple[Disk, ...] = Field(default=(), description="The disk; at most one.")
    filesystems: tuple[Filesystem, ...] = Field(default=(), description="File systems. Only with `disks`.")
