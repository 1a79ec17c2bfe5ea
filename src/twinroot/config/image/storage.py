"""`storage`: disks, partitions, file systems (image-config spec, sections 4.4 to 4.9).

Sizes are in bytes. What holds between fields is in `storage_rules`, where partitions come to lie in `layout`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from twinroot.config.image.btrfs import Btrfs
from twinroot.config.image.mount_point import MountPoint
from twinroot.config.image.verity import Verity
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.config.scalars import (
    DiskSize,
    EmptyIsUnset,
    GptLabel,
    NonEmptyStr,
    PartitionSize,
    PartitionType,
    PositiveDiskSize,
    Text,
)
from twinroot.config.section import Section

BootType = Literal["efi", "legacy"]
FilesystemType = Literal["ext4", "xfs", "vfat", "fat32", "btrfs"]


class Filesystem(Section):
    """A file system on a partition or a verity device."""

    device_id: NonEmptyStr = Field(description="Id of the partition or of the verity device.")
    type: Annotated[FilesystemType | None, EmptyIsUnset] = Field(
        default=None,
        description="Type of the file system; `fat32` and `vfat` are the same. Without it the partition stays empty. "
        "`btrfs` needs the preview feature of that name.",
    )
    mount_point: MountPoint | None = Field(
        default=None, description="Where it is mounted. Not together with `btrfs.subvolumes`."
    )
    btrfs: Btrfs | None = Field(default=None, description="Subvolumes and quotas. Only for `btrfs`.")

    def check(self) -> Iterator[Finding]:
        """A mounted file system has a type; subvolumes are btrfs's, and mounted by themselves."""
        if self.btrfs and self.btrfs.subvolumes and self.mount_point:
            hint = "mount the subvolumes instead"
            yield Finding(("mountPoint",), "this key is not allowed together with 'btrfs.subvolumes'", hint)
        if self.mount_point and self.type is None:
            yield Finding(
                ("mountPoint",), "a file system with a mount point needs a 'type'", "add for example type: ext4"
            )
        if self.btrfs and self.type != "btrfs":
            yield Finding(("btrfs",), "this key is only allowed with type btrfs")
        if self.type == "btrfs":
            yield from self._subvolume_options()

    def _subvolume_options(self) -> Iterator[Finding]:
        for path, point in self.mounts():
            named = [option for option in point.options.split(",") if option.startswith(("subvol=", "subvolid="))]
            if named:
                hint = "describe the subvolume in btrfs.subvolumes"
                yield Finding((*path, "options"), f"the mount option {quoted(named[0])} is not allowed here", hint)

    def mounts(self) -> Iterator[tuple[KeyPath, MountPoint]]:
        """Every mount point with its key path: that of the file system, those of its subvolumes."""
        if self.mount_point:
            yield ("mountPoint",), self.mount_point
        for index, subvolume in enumerate(self.btrfs.subvolumes if self.btrfs else ()):
            if subvolume.mount_point:
                yield ("btrfs", "subvolumes", index, "mountPoint"), subvolume.mount_point

    @property
    def is_fat(self) -> bool:
        """Whether it is FAT, in either spelling."""
        return self.type in ("fat32", "vfat")


class Partition(Section):
    """A partition. Its number is its position in the list."""

    id: Text = Field(default="", description="Name by which the configuration refers to it; unique.")
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
    verity: tuple[Verity, ...] = Field(default=(), description="Partitions that dm-verity protects.")
    reset_partitions_uuids_type: Annotated[Literal["reset-all"] | None, EmptyIsUnset] = Field(
        default=None,
        description="`reset-all` gives the partitions and file systems of the base image new UUIDs. Not with `disks`; "
        "needs `os.bootloader.resetType`.",
    )
    reinitialize_verity: Annotated[Literal["none", "all"] | None, EmptyIsUnset] = Field(
        default=None,
        description="`all` computes the hashes of the base image's verity partitions anew. Needs the preview feature "
        "`reinitialize-verity`.",
    )
