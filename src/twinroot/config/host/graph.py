"""What lies upon what: the devices of a storage section and whatever refers to them, as one graph. Pure.

Devices of all kinds share one name space of ids. A device may itself refer to others (a RAID array to partitions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from typing import TypeVar

from twinroot.config.host.ab_update import AbVolumePair
from twinroot.config.host.disks import AdoptedPartition, Disk, Partition
from twinroot.config.host.encryption import EncryptedVolume
from twinroot.config.host.filesystems import Filesystem, Swap
from twinroot.config.host.raid import SoftwareRaidArray
from twinroot.config.host.storage import Storage
from twinroot.config.host.verity import VerityDevice
from twinroot.config.problems import KeyPath
from twinroot.config.section import Section, UnreadableError

S = TypeVar("S")
T = TypeVar("T")

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
    section: Section
    references: Callable[[], Iterable[Target]]
    own_id: str | None = None

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """What it refers to; UnreadableError where that is wrong in the configuration."""
        return tuple(self.references())


@dataclass(frozen=True)
class Graph:
    """All devices and referrers in the order of the configuration."""

    devices: tuple[Device, ...]
    referrers: tuple[Referrer, ...]
    complete: bool = True
    """Whether the id of every device can be read: only then is one that is not here nowhere."""

    def find(self, device_id: str) -> Device | None:
        """The device with an id; UnreadableError where it may be one whose id is wrong."""
        device = self.by_id.get(device_id)
        if device is None and not self.complete:
            raise UnreadableError(device_id)
        return device

    @cached_property
    def by_id(self) -> dict[str, Device]:
        """Devices by id; of several with the same, the first."""
        found: dict[str, Device] = {}
        for device in self.devices:
            found.setdefault(device.id, device)
        return found

    @cached_property
    def _referring(self) -> dict[str, Referrer]:
        found: dict[str, Referrer] = {}
        for referrer in self.referrers:
            if referrer.own_id is not None:
                found.setdefault(referrer.own_id, referrer)
        return found

    def targets_of(self, device_id: str) -> tuple[Target, ...]:
        """What a device lies on."""
        referrer = self._referring.get(device_id)
        return referrer.targets if referrer else ()

    def partitions(self, device_id: str) -> tuple[Device, ...]:
        """All partitions, new and adopted, that a device is or lies on. A circle of references ends."""
        return tuple(self._partitions(device_id, MAX_DEPTH, set()))

    def _partitions(self, device_id: str, depth: int, seen: set[str]) -> Iterator[Device]:
        device = self.find(device_id)
        if device is None or depth == 0 or device_id in seen:
            return
        seen.add(device_id)
        if device.kind in (Kind.PARTITION, Kind.ADOPTED):
            yield device
        for target in self.targets_of(device_id):
            yield from self._partitions(target.id, depth - 1, seen)

    def is_on_pair(self, device_id: str | None) -> bool:
        """Whether a device has two halves: a pair, or a verity device upon one."""
        device = None if device_id is None else self.find(device_id)
        if device is None or device.kind is not Kind.VERITY:
            return device is not None and device.kind is Kind.PAIR
        below = [self.find(target.id) for target in self.targets_of(device.id)]
        return any(each is not None and each.kind is Kind.PAIR for each in below)

    def size_of(self, device_id: str, depth: int = MAX_DEPTH) -> int | None:
        """Bytes of a device (spec 6.6); None where it is not known: what grows, what is adopted."""
        device = self.find(device_id)
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
    """The graph of a storage section. What is wrong in that is left out of it."""
    reading = _Reading()
    others = (
        *reading.each(lambda: storage.raid.software, _array),
        *reading.each(lambda: storage.encryption.volumes if storage.encryption else (), _volume),
        *reading.each(lambda: storage.ab_update.volume_pairs if storage.ab_update else (), _pair),
        *reading.each(lambda: storage.verity, _verity),
    )
    devices = [device for found in reading.each(lambda: storage.disks, partial(_on_disk, reading)) for device in found]
    devices += [Device(each.own_id, each.kind, each.path, each.section) for each in others if each.own_id is not None]
    without_id = _Reading()
    users = (
        *without_id.each(lambda: storage.swap, _swap),
        *without_id.each(lambda: storage.filesystems, _filesystem),
    )
    return Graph(tuple(devices), others + users, reading.complete)


class _Reading:
    """Goes on behind what cannot be read, and remembers that there was something."""

    def __init__(self) -> None:
        self.complete = True

    def each(self, items: Callable[[], Iterable[S]], make: Callable[[int, S], T]) -> Iterator[T]:
        """What is made of each item and its number."""
        with self._going_on():
            for index, item in enumerate(items()):
                with self._going_on():
                    yield make(index, item)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except UnreadableError:
            self.complete = False


def _on_disk(reading: _Reading, number: int, disk: Disk) -> list[Device]:
    path: KeyPath = ("storage", "disks", number)

    def device(kind: Kind, key: str, index: int, section: Partition | AdoptedPartition) -> Device:
        return Device(section.id, kind, (*path, key, index), section)

    return [
        *reading.each(lambda: (disk,), lambda _, disk: Device(disk.id, Kind.DISK, path, disk)),
        *reading.each(lambda: disk.partitions, partial(device, Kind.PARTITION, "partitions")),
        *reading.each(lambda: disk.adopted_partitions, partial(device, Kind.ADOPTED, "adoptedPartitions")),
    ]


def _array(index: int, array: SoftwareRaidArray) -> Referrer:
    path: KeyPath = ("storage", "raid", "software", index)

    def members() -> Iterable[Target]:
        return (Target(each, (*path, "devices", number)) for number, each in enumerate(array.devices))

    return Referrer(Kind.RAID, path, array, members, array.id)


def _volume(index: int, volume: EncryptedVolume) -> Referrer:
    path: KeyPath = ("storage", "encryption", "volumes", index)
    return Referrer(Kind.ENCRYPTED, path, volume, partial(_on_device, volume, path), volume.id)


def _pair(index: int, pair: AbVolumePair) -> Referrer:
    path: KeyPath = ("storage", "abUpdate", "volumePairs", index)

    def halves() -> Iterable[Target]:
        return Target(pair.volume_a_id, (*path, "volumeAId")), Target(pair.volume_b_id, (*path, "volumeBId"))

    return Referrer(Kind.PAIR, path, pair, halves, pair.id)


def _verity(index: int, verity: VerityDevice) -> Referrer:
    path: KeyPath = ("storage", "verity", index)

    def data_and_hashes() -> Iterable[Target]:
        data, hashes = verity.data_device_id, verity.hash_device_id
        return Target(data, (*path, "dataDeviceId")), Target(hashes, (*path, "hashDeviceId"))

    return Referrer(Kind.VERITY, path, verity, data_and_hashes, verity.id)


def _swap(index: int, swap: Swap) -> Referrer:
    path: KeyPath = ("storage", "swap", index)
    return Referrer(Kind.SWAP, path, swap, partial(_on_device, swap, path))


def _filesystem(index: int, filesystem: Filesystem) -> Referrer:
    path: KeyPath = ("storage", "filesystems", index)
    kind = {"new": Kind.NEW, "image": Kind.IMAGE, "adopted": Kind.KEPT}[filesystem.source]
    kind = Kind.ESP if filesystem.is_esp else kind
    return Referrer(kind, path, filesystem, partial(_on_device, filesystem, path))


def _on_device(user: EncryptedVolume | Swap | Filesystem, path: KeyPath) -> tuple[Target, ...]:
    return () if user.device_id is None else (Target(user.device_id, (*path, "deviceId")),)
