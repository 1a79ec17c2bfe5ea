"""The disk that will be built: partitions, filesystems, mounts. Pure: from a layout or from the base's own disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twinroot.config.image.btrfs import BtrfsSubvolume
from twinroot.config.image.layout import Layout
from twinroot.config.image.mount_point import MountPoint
from twinroot.config.image.storage import BootType, Filesystem
from twinroot.errors import InputError
from twinroot.formats import gpt
from twinroot.plan.facts import BaseFilesystem
from twinroot.plan.identity import Identity
from twinroot.units import BIOS_GRUB, ESP

SECTOR = 512
EXT_TYPES = ("ext2", "ext3", "ext4")
# What can be given a new UUID where it lies, by blkid's names, and what never may.
RENEWED = (*EXT_TYPES, "vfat", "xfs", "btrfs", "swap")
HASH_TREE = "DM_verity_hash"


@dataclass(frozen=True)
class Mount:
    """Where and how a filesystem is mounted. `id_type` is how fstab names it: uuid, part-uuid or part-label."""

    path: str
    options: str
    id_type: str = "part-uuid"


@dataclass(frozen=True)
class PlannedSubvolume:
    """A subvolume of a btrfs filesystem: its path from the top, its mount, its limits in bytes."""

    path: str
    mount: Mount | None
    referenced_limit: int | None = None
    exclusive_limit: int | None = None


@dataclass(frozen=True)
class PlannedFilesystem:
    """A filesystem to make. `type` is ext4, vfat, xfs or btrfs; `uuid` as blkid prints it.

    `features` are the ext4 features to use; None means those of the target distribution. One with `subvolumes` is
    mounted by these, not by itself.
    """

    type: str
    uuid: str
    label: str
    mount: Mount | None
    features: tuple[str, ...] | None = None
    subvolumes: tuple[PlannedSubvolume, ...] = ()

    @property
    def mounts(self) -> tuple[tuple[str, Mount], ...]:
        """Every mount with the subvolume that it shows, empty for the whole filesystem; parents before children."""
        found = [("", self.mount)] if self.mount else []
        found += [(volume.path, volume.mount) for volume in self.subvolumes if volume.mount]
        return tuple(sorted(found, key=lambda shown: shown[1].path))


@dataclass(frozen=True)
class PlannedPartition:
    """A partition of the new disk. Sizes in bytes.

    It gets a new filesystem, or the bytes of a base partition (`copy_from`, its offset on the base disk), or nothing.
    `size_field` is the config field that sets its size, for advice when it is too small. `copy_identity` is what the
    filesystem in copied bytes is to be called: its type and its new UUID; None leaves them as they are.
    """

    entry: gpt.Partition
    offset: int
    size: int
    size_field: str
    filesystem: PlannedFilesystem | None = None
    copy_from: int | None = None
    copy_identity: tuple[str, str] | None = None


@dataclass(frozen=True)
class PlannedDisk:
    """The whole disk. `repartitioned` says that the layout comes from the config, not from the base.

    `boot_type` is what the config says of the machine, efi or legacy; None where the partitions have to say it.
    """

    table: gpt.Table
    partitions: tuple[PlannedPartition, ...]
    repartitioned: bool
    boot_type: BootType | None = None

    @property
    def mounted(self) -> tuple[PlannedPartition, ...]:
        """Partitions with a mount point, parents before children."""
        return tuple(sorted((p for p in self.partitions if mount_path(p)), key=mount_path))

    @property
    def mounts(self) -> tuple[PlacedMount, ...]:
        """Every mount, of partitions and of subvolumes, parents before children."""
        found = [
            PlacedMount(partition, mount, subvolume)
            for partition in self.partitions
            if partition.filesystem
            for subvolume, mount in partition.filesystem.mounts
        ]
        return tuple(sorted(found, key=lambda placed: placed.mount.path))

    def holding(self, path: str) -> PlannedPartition:
        """The mounted partition that holds a path of the operating system."""
        return self.mount_of(path).partition

    def mount_of(self, path: str) -> PlacedMount:
        """The mount that holds a path of the operating system."""
        for placed in reversed(self.mounts):
            mount = placed.mount.path.rstrip("/")
            if path == mount or path.startswith(mount + "/"):
                return placed
        raise InputError("no filesystem is mounted at /", hint="give one of storage.filesystems the mount point /")

    @property
    def esp(self) -> PlannedPartition | None:
        """The EFI system partition, None when there is none."""
        return next((p for p in self.partitions if p.entry.type_uuid == ESP), None)

    def with_boot_code(self, code: bytes) -> PlannedDisk:
        """The same disk with other code in its first sector."""
        return replace(self, table=replace(self.table, boot_code=code))

    @property
    def bios_boot(self) -> PlannedPartition | None:
        """The partition that holds grub's core image on a disk for BIOS machines; None on a disk for EFI machines."""
        found = next((p for p in self.partitions if p.entry.type_uuid == BIOS_GRUB), None)
        boot_type = self.boot_type or ("efi" if self.esp else "legacy")
        return found if boot_type == "legacy" else None


@dataclass(frozen=True)
class PlacedMount:
    """One mount: the partition, and the path of the subvolume that is shown, empty for the whole filesystem."""

    partition: PlannedPartition
    mount: Mount
    subvolume: str = ""

    def inner(self, path: str) -> str:
        """The path inside the filesystem, from its top, of a path of the operating system that it holds."""
        below = path[len(self.mount.path.rstrip("/")) :].lstrip("/")
        return "/" + "/".join(part for part in (self.subvolume, below) if part)


def mount_path(partition: PlannedPartition) -> str:
    """The mount point of a partition, the first when it has several, empty when it has none."""
    mounts = partition.filesystem.mounts if partition.filesystem else ()
    return mounts[0][1].path if mounts else ""


def plan_new_disk(
    layout: Layout, filesystems: Sequence[Filesystem], identity: Identity, boot_type: BootType | None = None
) -> PlannedDisk:
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
    return PlannedDisk(table, tuple(planned), repartitioned=True, boot_type=boot_type)


def _new_filesystem(wanted: Filesystem, identity: Identity) -> PlannedFilesystem:
    purpose = f"filesystem {wanted.device_id}"
    mount = _mount(wanted.mount_point)
    if wanted.is_fat:
        return PlannedFilesystem("vfat", identity.volume_id(purpose), "", mount)
    subvolumes = tuple(_subvolume(volume) for volume in (wanted.btrfs.subvolumes if wanted.btrfs else ()))
    return PlannedFilesystem(wanted.type or "", str(identity.uuid(purpose)), "", mount, subvolumes=subvolumes)


def _mount(point: MountPoint | None, subvolume: str | None = None) -> Mount | None:
    if point is None:
        return None
    shown = [f"subvol=/{subvolume}"] if subvolume else []
    options = ",".join([*shown, *filter(None, [point.options])])
    return Mount(point.path, options or "defaults", point.id_type or "part-uuid")


def _subvolume(wanted: BtrfsSubvolume) -> PlannedSubvolume:
    quota = wanted.quota
    return PlannedSubvolume(
        wanted.path,
        _mount(wanted.mount_point, wanted.path),
        quota.referenced_limit if quota else None,
        quota.exclusive_limit if quota else None,
    )


def plan_kept_disk(table: gpt.Table, base: Sequence[BaseFilesystem], renew: Identity | None = None) -> PlannedDisk:
    """The base's own disk: same table, same filesystems with their UUIDs and labels, unmounted partitions as bytes.

    With `renew`, disk, partitions and filesystems get the UUIDs of that identity; everything else stays.
    """
    planned = tuple(_kept_partition(found, renew) for found in base)
    if renew:
        table = replace(table, disk_uuid=renew.uuid("disk"), partitions=tuple(p.entry for p in planned))
    return PlannedDisk(table, planned, repartitioned=False)


def _kept_partition(found: BaseFilesystem, renew: Identity | None) -> PlannedPartition:
    number = found.partition.number
    entry = replace(found.partition, uuid=renew.uuid(f"partition {number}")) if renew else found.partition
    uuid, identity = found.uuid or "", None
    if renew and found.type == HASH_TREE:
        raise InputError(
            f"partition {number} of the base image holds verity hashes, which storage.resetPartitionsUuidsType "
            "would make useless"
        )
    if renew and found.type in RENEWED:
        purpose = f"filesystem {number}"
        uuid = renew.volume_id(purpose) if found.type == "vfat" else str(renew.uuid(purpose))
        identity = (found.type, uuid)
    filesystem = _kept_filesystem(found, uuid) if found.mount_point is not None else None
    field = "the base image's partition (a larger one needs a layout in storage.disks)"
    if filesystem:
        return PlannedPartition(entry, found.offset, found.size, field, filesystem)
    return PlannedPartition(
        entry, found.offset, found.size, field, copy_from=found.offset, copy_identity=identity
    )  # fmt: skip


def _kept_filesystem(found: BaseFilesystem, uuid: str) -> PlannedFilesystem:
    if found.type not in (*EXT_TYPES, "vfat", "xfs"):
        raise InputError(
            f"partition {found.partition.number} of the base image, mounted at {found.mount_point}, is "
            f"{found.type or 'unformatted'}, which cannot be rebuilt in this version of twinroot",
            hint="give the image a new layout with storage.disks",
        )
    mount = Mount(found.mount_point or "", found.options or "defaults")
    kind = "ext4" if found.type in EXT_TYPES else found.type or ""
    return PlannedFilesystem(kind, uuid, found.label or "", mount, found.features)


def new_identifiers(disk: PlannedDisk, base: Sequence[BaseFilesystem]) -> dict[str, str]:
    """The UUIDs of a kept disk that were renewed, old to new, in lower case as fstab may have them."""
    found = {}
    for old, new in zip(base, disk.partitions, strict=True):
        found[str(old.partition.uuid)] = str(new.entry.uuid)
        made = new.filesystem.uuid if new.filesystem else new.copy_identity[1] if new.copy_identity else None
        if old.uuid and made:
            found[old.uuid.lower()] = made
    return {old: new for old, new in found.items() if old != new.lower()}
