"""What lies upon what: the devices of a storage section and whatever refers to them, as one graph. Pure.

Devices of all kinds share one name space of ids. A device may itself refer to others (a RAID array to partitions).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from twinroot.config.host.disks import Partition
from twinroot.config.host.raid import SoftwareRaidArray
from twinroot.config.host.storage import Storage
from twinroot.config.problems import KeyPath
from twinroot.config.section import Section

MAX_DEPTH = 16
"""Devices upon each other; what kinds may lie on what allows four."""

ENCRYPTION_OVERHEAD = 16 * 1024 * 1024
"""Bytes that the header of LUKS2 takes (spec 6.6)."""


class Kind(StrEnum):
    """Kinds of devices and of what refers to them (spec 6.1); the text is for messages."""

    DISK = "disk"
    PARTITION = "partition"
    ADOPTED = "adopted partition"
    RAID = "RAID array"
    PAIR = "A/B pair"
    ENCRYPTED = "encrypted volume"
    VERITY = "verity device"
    SWAP = "swap device"
    NEW = "new file system"
    IMAGE = "file system from the image"
    ESP = "EFI system partition"
    KEPT = "adopted file system"


@dataclass(frozen=True)
class Device:
    """Something with an id. `path` leads to the object."""

    id: str
    kind: Kind
    path: KeyPath
    section: Section


@dataclass(frozen=True)
class Target:
    """One reference: the id, and the key path at which it stands."""

    id: str
    path: KeyPath


@dataclass(frozen=True)
class Referrer:
    """Something that refers to devices. `own_id` is None for what has no id itself."""

    kind: Kind
    path: KeyPath
    targets: tuple[Target, ...]
    section: Section
    own_id: str | None = None


@dataclass(frozen=True)
class Graph:
    """All devices and referrers in the order of the configuration."""

    devices: tuple[Device, ...]
    referrers: tuple[Referrer, ...]

    @cached_property
    def by_id(self) -> dict[str, Device]:
        """Devices by id; of several with the same, the first."""
        found: dict[str, Device] = {}
        for device in self.devices:
            found.setdefault(device.id, device)
        return found

    @cached_property
    def _targets(self) -> dict[str, tuple[Target, ...]]:
        found: dict[str, tuple[Target, ...]] = {}
        for referrer in self.referrers:
            if referrer.own_id is not None:
                found.setdefault(referrer.own_id, referrer.targets)
        return found

    def targets_of(self, device_id: str) -> tuple[Target, ...]:
        """What a device lies on."""
        return self._targets.get(device_id, ())

    def partitions(self, device_id: str) -> tuple[Device, ...]:
        """All partitions, new and adopted, that a device is or lies on. A circle of references ends."""
        return tuple(self._partitions(device_id, MAX_DEPTH, set()))

    def _partitions(self, device_id: str, depth: int, seen: set[str]) -> Iterator[Device]:
        device = self.by_id.get(device_id)
        if device is None or depth == 0 or device_id in seen:
            return
        seen.add(device_id)
        if device.kind in (Kind.PARTITION, Kind.ADOPTED):
            yield device
        for target in self.targets_of(device_id):
            yield from self._partitions(target.id, depth - 1, seen)

    def is_on_pair(self, device_id: str | None) -> bool:
        """Whether a device has two halves: a pair, or a verity device upon one."""
        device = self.by_id.get(device_id or "")
        if device is None or device.kind is not Kind.VERITY:
            return device is not None and device.kind is Kind.PAIR
        below = [self.by_id.get(target.id) for target in self.targets_of(device.id)]
        return any(each is not None and each.kind is Kind.PAIR for each in below)

    def size_of(self, device_id: str, depth: int = MAX_DEPTH) -> int | None:
        """Bytes of a device (spec 6.6); None where it is not known: what grows, what is adopted."""
        device = self.by_id.get(device_id)
        if device is None or depth == 0:
            return None
        if isinstance(device.section, Partition):
            return device.section.size if isinstance(device.section.size, int) else None
        targets = self.targets_of(device_id)
        size = self.size_of(targets[0].id, depth - 1) if targets else None
        if size is None:
            return None
        if isinstance(device.section, SoftwareRaidArray):
            return _raid_size(device.section.level, len(targets), size)
        return size - ENCRYPTION_OVERHEAD if device.kind is Kind.ENCRYPTED else size


def _raid_size(level: str, count: int, size: int) -> int:
    if level == "raid10":
        return count * size // 2
    return size * {"raid0": count, "raid1": 1, "raid5": count - 1, "raid6": count - 2}[level]


def graph_of(storage: Storage) -> Graph:
    """The graph of a storage section."""
    return Graph(tuple(_devices(storage)), tuple(_referrers(storage)))


def _devices(storage: Storage) -> Iterator[Device]:
    for number, disk in enumerate(storage.disks):
        path: KeyPath = ("storage", "disks", number)
        yield Device(disk.id, Kind.DISK, path, disk)
        for index, partition in enumerate(disk.partitions):
            yield Device(partition.id, Kind.PARTITION, (*path, "partitions", index), partition)
        for index, adopted in enumerate(disk.adopted_partitions):
            yield Device(adopted.id, Kind.ADOPTED, (*path, "adoptedPartitions", index), adopted)
    for referrer in _referrers(storage):
        if referrer.own_id is not None:
            yield Device(referrer.own_id, referrer.kind, referrer.path, referrer.section)


def _referrers(storage: Storage) -> Iterator[Referrer]:
    for index, array in enumerate(storage.raid.software):
        path: KeyPath = ("storage", "raid", "software", index)
        members = tuple(Target(each, (*path, "devices", number)) for number, each in enumerate(array.devices))
        yield Referrer(Kind.RAID, path, members, array, array.id)
    for index, volume in enumerate(storage.encryption.volumes if storage.encryption else ()):
        path = ("storage", "encryption", "volumes", index)
        yield Referrer(Kind.ENCRYPTED, path, (Target(volume.device_id, (*path, "deviceId")),), volume, volume.id)
    for index, pair in enumerate(storage.ab_update.volume_pairs if storage.ab_update else ()):
        path = ("storage", "abUpdate", "volumePairs", index)
        halves = (Target(pair.volume_a_id, (*path, "volumeAId")), Target(pair.volume_b_id, (*path, "volumeBId")))
        yield Referrer(Kind.PAIR, path, halves, pair, pair.id)
    for index, verity in enumerate(storage.verity):
        path = ("storage", "verity", index)
        data, hashes = Target(verity.data_device_id, (*path, "dataDeviceId")), verity.hash_device_id
        yield Referrer(Kind.VERITY, path, (data, Target(hashes, (*path, "hashDeviceId"))), verity, verity.id)
    for index, swap in enumerate(storage.swap):
        path = ("storage", "swap", index)
        yield Referrer(Kind.SWAP, path, (Target(swap.device_id, (*path, "deviceId")),), swap)
    for index, filesystem in enumerate(storage.filesystems):
        path = ("storage", "filesystems", index)
        kind = {"new": Kind.NEW, "image": Kind.IMAGE, "adopted": Kind.KEPT}[filesystem.source]
        device = filesystem.device_id
        targets = () if device is None else (Target(device, (*path, "deviceId")),)
        yield Referrer(Kind.ESP if filesystem.is_esp else kind, path, targets, filesystem)
