"""The disk that will be built: partitions, filesystems, mounts. Pure: from a layout or from the base's own disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinroot.config.image.layout import Layout
from twinroot.config.image.storage import Filesystem
from twinroot.errors import InputError
from twinroot.formats import gpt
from twinroot.plan.facts import BaseFilesystem
from twinroot.plan.identity import Identity
from twinroot.units import ESP

SECTOR = 512
EXT_TYPES = ("ext2", "ext3", "ext4")


@dataclass(frozen=True)
class Mount:
    """Where and how a filesystem is mounted. `id_type` is how fstab names it: uuid, part-uuid or part-label."""

    path: str
    options: str
    id_type: str = "part-uuid"


@dataclass(frozen=True)
class PlannedFilesystem:
    """A filesystem to make. `type` is ext4 or vfat; `uuid` as blkid prints it.

    `features` are the ext4 features to use; None means those of the target distribution.
    """

    type: str
    uuid: str
    label: str
    mount: Mount | None
    features: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PlannedPartition:
    """A partition of the new disk. Sizes in bytes.

    It gets a new filesystem, or the bytes of a base partition (`copy_from`, its offset on the base disk), or nothing.
    `size_field` is the config field that sets its size, for advice when it is too small.
    """

    entry: gpt.Partition
    offset: int
    size: int
    size_field: str
    filesystem: PlannedFilesystem | None = None
    copy_from: int | None = None


@dataclass(frozen=True)
class PlannedDisk:
    """The whole disk. `repartitioned` says that the layout comes from the config, not from the base."""

    table: gpt.Table
    partitions: tuple[PlannedPartition, ...]
    repartitioned: bool

    @property
    def mounted(self) -> tuple[PlannedPartition, ...]:
        """Partitions with a mount point, parents before children."""
        found = [p for p in self.partitions if p.filesystem and p.filesystem.mount]
        return tuple(sorted(found, key=mount_path))

    def holding(self, path: str) -> PlannedPartition:
        """The mounted partition that holds a path of the operating system."""
        for partition in reversed(self.mounted):
            mount = mount_path(partition).rstrip("/")
            if path == mount or path.startswith(mount + "/"):
                return partition
        raise InputError("no filesystem is mounted at /", hint="give one of storage.filesystems the mount point /")

    @property
    def esp(self) -> PlannedPartition | None:
        """The EFI system partition, None when there is none."""
        return next((p for p in self.partitions if p.entry.type_uuid == ESP), None)


def mount_path(partition: PlannedPartition) -> str:
    """The mount point of a partition, empty when it has none."""
    return partition.filesystem.mount.path if partition.filesystem and partition.filesystem.mount else ""


def plan_new_disk(layout: Layout, filesystems: Sequence[Filesystem], identity: Identity) -> PlannedDisk:
    """The disk that a `storage.disks` section describes."""
    by_device = {f.device_id: f for f in filesystems if f.type}
    planned = []
    for partition in layout.partitions:
        entry = gpt.Partition(
            number=partition.number,
            type_uuid=partition.type_uuid,
            uuid=identity.uuid(f"partition {partition.id}"),
            first_lba=partition.start // SECTOR,
            last_lba=partition.end // SECTOR - 1,
            name=partition.label,
        )
        field = f"storage.disks[0].partitions[{partition.number - 1}].size ('{partition.id}')"
        wanted = by_device.get(partition.id)
        filesystem = _new_filesystem(wanted, identity) if wanted else None
        planned.append(PlannedPartition(entry, partition.start, partition.size, field, filesystem))
    table = gpt.Table(identity.uuid("disk"), layout.disk_size, tuple(p.entry for p in planned))
    return PlannedDisk(table, tuple(planned), repartitioned=True)


def _new_filesystem(wanted: Filesystem, identity: Identity) -> PlannedFilesystem:
    purpose = f"filesystem {wanted.device_id}"
    point = wanted.mount_point
    mount = Mount(point.path, point.options or "defaults", point.id_type or "part-uuid") if point else None
    if wanted.is_fat:
        return PlannedFilesystem("vfat", identity.volume_id(purpose), "", mount)
    return PlannedFilesystem("ext4", str(identity.uuid(purpose)), "", mount)


def plan_kept_disk(table: gpt.Table, base: Sequence[BaseFilesystem]) -> PlannedDisk:
    """The base's own disk: same table, same filesystems with their UUIDs and labels, unmounted partitions as bytes."""
    planned = []
    for found in base:
        filesystem = None
        if found.mount_point is not None:
            if found.type not in (*EXT_TYPES, "vfat"):
                raise InputError(
                    f"partition {found.partition.number} of the base image, mounted at {found.mount_point}, is "
                    f"{found.type or 'unformatted'}, which cannot be rebuilt in this version of twinroot",
                    hint="give the image a new layout with storage.disks, on ext4 and fat32",
                )
            mount = Mount(found.mount_point, found.options or "defaults")
            kind = "vfat" if found.type == "vfat" else "ext4"
            filesystem = PlannedFilesystem(kind, found.uuid or "", found.label or "", mount, found.features)
        planned.append(
            PlannedPartition(
                found.partition,
                found.offset,
                found.size,
                "the base image's partition (a larger one needs a layout in storage.disks)",
                filesystem,
                copy_from=None if filesystem else found.offset,
            )
        )
    return PlannedDisk(table, tuple(planned), repartitioned=False)
