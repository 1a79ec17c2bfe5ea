"""What must hold between file systems, mount points and what they are on (image-config spec, section 5, rule 2).

A device is a partition of `storage.disks` or a verity device, by its id. Pure functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.layout import MAX_PARTITIONS
from twinroot.config.image.storage_rules import partitions_of
from twinroot.config.problems import Finding, KeyPath, did_you_mean, one_of, quoted, show_path
from twinroot.config.section import UnreadableError

_DISKS: KeyPath = ("storage", "disks")
_FILESYSTEMS: KeyPath = ("storage", "filesystems")
_VERITY: KeyPath = ("storage", "verity")
_MAX_SHOWN = 16  # ids in a hint


def unique_ids(config: ImageConfig) -> Iterator[Finding]:
    """No two partitions and verity devices have the same id."""
    seen: dict[str, str] = {}
    for path, device_id, kind in _devices(config):
        if device_id in seen:
            known = f"the id {quoted(device_id)} is already used by another {seen[device_id]}"
            message = known if device_id else "every partition but one needs an id"
            yield Finding((*path, "id"), message)
        else:
            seen[device_id] = kind


def device_users(config: ImageConfig) -> Iterator[Finding]:
    """Each file system and each verity device is on partitions of its own, and these exist.

    A verity device may have its data and its hashes in one partition. A file system on a verity device refers to that,
    not to the partition below.
    """
    if not config.storage.disks:
        return
    partitions = {partition.id: "partition" for _, partition in partitions_of(config) if partition.id}
    verity = {device.id: "verity device" for device in config.storage.verity}
    users: dict[str, KeyPath] = {}
    for path, device_id, known in _references(config, partitions, partitions | verity):
        if device_id not in known:
            yield _unknown_device(path, device_id, known, is_verity=device_id in verity)
            continue
        user = users.setdefault(device_id, path)
        if user != path and not (user[:3] == path[:3] and path[-1] == "hashDeviceId"):
            message = f"the {known[device_id]} {quoted(device_id)} is already used by {show_path(user[1:3])}"
            yield Finding(path, message)


def _references(
    config: ImageConfig, partitions: dict[str, str], devices: dict[str, str]
) -> Iterator[tuple[KeyPath, str, dict[str, str]]]:
    """Every use of a device: its key path, the id, and the ids that may stand there."""
    for index, device in enumerate(config.storage.verity):
        for key, name in (("dataDeviceId", "data_device_id"), ("hashDeviceId", "hash_device_id")):
            with suppress(UnreadableError):
                if (value := getattr(device, name)) is not None:
                    yield (*_VERITY, index, key), value, partitions
    for index, filesystem in enumerate(config.storage.filesystems):
        with suppress(UnreadableError):
            yield (*_FILESYSTEMS, index, "deviceId"), filesystem.device_id, devices


def _unknown_device(path: KeyPath, device_id: str, known: dict[str, str], *, is_verity: bool) -> Finding:
    if is_verity:
        return Finding(path, f"{quoted(device_id)} is a verity device; a partition is wanted here")
    hint = did_you_mean(device_id, islice(known, MAX_PARTITIONS))
    if hint is None and len(known) <= _MAX_SHOWN:
        hint = f"the ids are {one_of(map(quoted, known))}" if known else "there are no partitions with an id"
    return Finding(path, f"there is no partition with the id {quoted(device_id)}", hint)


def _devices(config: ImageConfig) -> Iterator[tuple[KeyPath, str, str]]:
    for path, partition in partitions_of(config):
        with suppress(UnreadableError):
            yield path, partition.id, "partition"
    for index, device in enumerate(config.storage.verity):
        with suppress(UnreadableError):
            yield (*_VERITY, index), device.id, "verity device"


def mount_points(config: ImageConfig) -> Iterator[Finding]:
    """Nothing is mounted twice at one place."""
    users: dict[str, KeyPath] = {}
    for path, target in _targets(config):
        user = users.setdefault(target, path)
        if user != path:
            message = f"the mount point {quoted(target)} is already used by {show_path(user[1:-1])}"
            yield Finding((*path, "path"), message)


def _targets(config: ImageConfig) -> Iterator[tuple[KeyPath, str]]:
    """Where something is mounted, as far as it can be read, with the key paths of the mount points."""
    for index, filesystem in enumerate(config.storage.filesystems):
        with suppress(UnreadableError):
            for inner, point in filesystem.mounts():
                with suppress(UnreadableError):
                    yield (*_FILESYSTEMS, index, *inner), point.target


def root_filesystem(config: ImageConfig) -> Iterator[Finding]:
    """New disks have a file system for the root; the peer finds out when it runs."""
    if not config.storage.disks:
        return
    for filesystem in config.storage.filesystems:
        # One that cannot be read may be the one that is looked for: nothing is said then.
        if any(point.target == "/" for _, point in filesystem.mounts()):
            return
    at = None if config.storage.filesystems else _DISKS
    yield Finding(
        _FILESYSTEMS, "no file system is mounted at /", "give one of storage.filesystems the mountPoint /", at=at
    )


def part_labels(config: ImageConfig) -> Iterator[Finding]:
    """What is mounted by its label has a label, and no other partition has the same."""
    by_id = {partition.id: partition for _, partition in partitions_of(config)}
    labels = Counter(partition.label for _, partition in partitions_of(config))
    for index, filesystem in enumerate(config.storage.filesystems):
        with suppress(UnreadableError):
            partition = by_id.get(filesystem.device_id)
            for inner, point in filesystem.mounts() if partition else ():
                if partition is None or point.id_type != "part-label":
                    continue
                path = (*_FILESYSTEMS, index, *inner, "idType")
                if not partition.label:
                    yield Finding(path, f"part-label needs a 'label' for the partition {quoted(partition.id)}")
                elif labels[partition.label] > 1:
                    message = f"part-label needs a unique label, but {quoted(partition.label)} is given twice"
                    yield Finding(path, message)


FILESYSTEM_RULES: tuple[Rule[ImageConfig], ...] = (
    unique_ids,
    device_users,
    mount_points,
    root_filesystem,
    part_labels,
)
