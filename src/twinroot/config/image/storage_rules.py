"""What must hold between the fields of `storage` (image-config spec, section 5, rule 2). Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from posixpath import normpath

from twinroot.config.decode import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.layout import resolve_layout
from twinroot.config.image.storage import Filesystem, Partition
from twinroot.config.problems import Finding, KeyPath, did_you_mean, one_of, quoted

ESP_MOUNT_POINT = "/boot/efi"

_BOOT_TYPE: KeyPath = ("storage", "bootType")
_DISKS: KeyPath = ("storage", "disks")
_FILESYSTEMS: KeyPath = ("storage", "filesystems")
_VERITY: KeyPath = ("storage", "verity")  # its items have ids that file systems refer to


def one_disk(config: ImageConfig) -> Iterator[Finding]:
    """At most one disk."""
    if len(config.storage.disks) > 1:
        yield Finding((*_DISKS, 1), "only one disk is supported")


def disks_and_boot_type(config: ImageConfig) -> Iterator[Finding]:
    """Disks need a boot type, and the other way round."""
    storage = config.storage
    if storage.disks and not storage.boot_type:
        yield Finding(_BOOT_TYPE, "this key is required together with 'disks'", "add bootType: efi", at=_DISKS)
    if storage.boot_type and not storage.disks:
        yield Finding(_BOOT_TYPE, "this key is only allowed together with 'disks'")


def filesystems_need_disks(config: ImageConfig) -> Iterator[Finding]:
    """File systems can only be described together with the disks they are on."""
    if config.storage.filesystems and not config.storage.disks:
        yield Finding(_FILESYSTEMS, "this key is only allowed together with 'disks'")


def layout(config: ImageConfig) -> Iterator[Finding]:
    """Partitions fit on their disk."""
    for index, disk in enumerate(config.storage.disks):
        yield from resolve_layout(disk, (*_DISKS, index))[1]


def unique_ids(config: ImageConfig) -> Iterator[Finding]:
    """No two partitions have the same id."""
    seen: set[str] = set()
    for path, partition in partitions_of(config):
        if partition.id in seen:
            known = f"the id {quoted(partition.id)} is already used by another partition"
            message = known if partition.id else "every partition but one needs an id"
            yield Finding((*path, "id"), message)
        seen.add(partition.id)


def filesystem_devices(config: ImageConfig) -> Iterator[Finding]:
    """Each file system is on a partition of its own."""
    if not config.storage.disks:
        return
    known = [partition.id for _, partition in partitions_of(config) if partition.id]
    users: dict[str, int] = {}
    for index, filesystem in enumerate(config.storage.filesystems):
        path = (*_FILESYSTEMS, index, "deviceId")
        device = filesystem.device_id
        if device not in known:
            ids = f"the ids are {one_of(known)}" if known else "there are no partitions with an id"
            hint = did_you_mean(device, known) or ids
            yield Finding(path, f"there is no partition with the id {quoted(device)}", hint)
        elif device in users:
            message = f"the partition {quoted(device)} is already used by filesystems[{users[device]}]"
            yield Finding(path, message)
        else:
            users[device] = index


def mount_points(config: ImageConfig) -> Iterator[Finding]:
    """A mounted file system has a type, and nothing is mounted twice at one place."""
    users: dict[str, int] = {}
    for index, filesystem in enumerate(config.storage.filesystems):
        if filesystem.mount_point is None:
            continue
        path = (*_FILESYSTEMS, index, "mountPoint")
        if filesystem.type is None:
            yield Finding(path, "a file system with a mount point needs a 'type'", "add for example type: ext4")
        target = normpath(filesystem.mount_point.path)
        if target in users:
            message = f"the mount point {quoted(target)} is already used by filesystems[{users[target]}]"
            yield Finding((*path, "path"), message)
        else:
            users[target] = index


def part_labels(config: ImageConfig) -> Iterator[Finding]:
    """What is mounted by its label has a label, and no other partition has the same."""
    by_id = {partition.id: partition for _, partition in partitions_of(config)}
    labels = Counter(partition.label for _, partition in partitions_of(config))
    for index, filesystem in enumerate(config.storage.filesystems):
        partition = by_id.get(filesystem.device_id)
        if partition is None or not filesystem.mount_point or filesystem.mount_point.id_type != "part-label":
            continue
        path = (*_FILESYSTEMS, index, "mountPoint", "idType")
        if not partition.label:
            yield Finding(path, f"part-label needs a 'label' for the partition {quoted(partition.id)}")
        elif labels[partition.label] > 1:
            yield Finding(path, f"part-label needs a unique label, but {quoted(partition.label)} is given twice")


def special_partitions(config: ImageConfig) -> Iterator[Finding]:
    """The ESP is FAT and mounted at /boot/efi; a BIOS boot partition has no file system."""
    filesystems: dict[str, int] = {}
    for number, each in enumerate(config.storage.filesystems):
        filesystems.setdefault(each.device_id, number)
    for path, partition in partitions_of(config):
        index = filesystems.get(partition.id)
        filesystem = None if index is None else config.storage.filesystems[index]
        where = path if index is None else (*_FILESYSTEMS, index)
        if partition.type == "esp":
            yield from _esp_findings(filesystem, where)
        elif partition.type == "bios-grub" and filesystem and (filesystem.type or filesystem.mount_point):
            yield Finding(where, "a bios-grub partition may not have a file system or a mount point")


def _esp_findings(filesystem: Filesystem | None, path: KeyPath) -> Iterator[Finding]:
    if filesystem is None:
        hint = f"add it to filesystems with type fat32 and mountPoint {ESP_MOUNT_POINT}"
        yield Finding(path, "the esp partition needs a file system", hint)
        return
    if not filesystem.is_fat:
        message = "the file system of the esp partition must be FAT"
        yield Finding((*path, "type"), message, "use type: fat32")
    mount_point = filesystem.mount_point
    if mount_point is None or mount_point.path != ESP_MOUNT_POINT:
        key: KeyPath = ("mountPoint", "path") if mount_point else ("mountPoint",)
        yield Finding((*path, *key), f"the esp partition must be mounted at {ESP_MOUNT_POINT}")


def boot_partition(config: ImageConfig) -> Iterator[Finding]:
    """There is a partition that the firmware can boot from."""
    wanted = {"efi": "esp", "legacy": "bios-grub"}.get(config.storage.boot_type or "")
    if not wanted or not config.storage.disks:
        return
    if all(partition.type != wanted for _, partition in partitions_of(config)):
        message = f"bootType {config.storage.boot_type} needs a partition of type {wanted}"
        yield Finding((*_DISKS, 0, "partitions"), message)


def reset_with_disks(config: ImageConfig) -> Iterator[Finding]:
    """New disks need a new boot loader (rule 10)."""
    if config.storage.disks and (config.os is None or config.os.bootloader.reset_type is None):
        path = ("os", "bootloader", "resetType")
        hint = "add resetType: hard-reset below os.bootloader"
        at = None if config.os else _DISKS
        yield Finding(path, "this key is required together with 'storage.disks'", hint, at=at)


def partitions_of(config: ImageConfig) -> Iterable[tuple[KeyPath, Partition]]:
    """Every partition with its key path."""
    for disk_index, disk in enumerate(config.storage.disks):
        for index, partition in enumerate(disk.partitions):
            yield (*_DISKS, disk_index, "partitions", index), partition


STORAGE_RULES: tuple[Rule[ImageConfig], ...] = (
    Rule((_DISKS,), one_disk),
    Rule((_DISKS,), layout),
    Rule((_DISKS, _BOOT_TYPE), disks_and_boot_type),
    Rule((_DISKS, _FILESYSTEMS), filesystems_need_disks),
    Rule((_DISKS,), unique_ids),
    Rule((_DISKS, _FILESYSTEMS, _VERITY), filesystem_devices),
    Rule((_FILESYSTEMS,), mount_points),
    Rule((_DISKS, _FILESYSTEMS), part_labels),
    Rule((_DISKS, _FILESYSTEMS), special_partitions),
    Rule((_DISKS, _BOOT_TYPE), boot_partition),
    Rule((_DISKS, ("os", "bootloader")), reset_with_disks),
)
