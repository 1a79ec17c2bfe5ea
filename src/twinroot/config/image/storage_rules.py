"""What must hold between disks, partitions and the boot loader (image-config spec, section 5, rules 2, 10 and 11).

Pure functions. File systems and verity devices have rules of their own (`filesystem_rules`, `verity_rules`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.layout import layout_findings
from twinroot.config.image.storage import Filesystem, Partition
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.section import UnreadableError

ESP_MOUNT_POINT = "/boot/efi"

_BOOT_TYPE: KeyPath = ("storage", "bootType")
_DISKS: KeyPath = ("storage", "disks")
_FILESYSTEMS: KeyPath = ("storage", "filesystems")
_RESET_UUIDS: KeyPath = ("storage", "resetPartitionsUuidsType")
_RESET_TYPE: KeyPath = ("os", "bootloader", "resetType")


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
        yield from layout_findings(disk, (*_DISKS, index))


def reset_uuids(config: ImageConfig) -> Iterator[Finding]:
    """New UUIDs are for partitions of the base image, and the boot loader must learn them."""
    if config.storage.reset_partitions_uuids_type is None:
        return
    with suppress(UnreadableError):
        if config.storage.disks:
            message = "this key is not allowed together with 'disks'"
            yield Finding(_RESET_UUIDS, message, "new partitions have new UUIDs")
    if _reset_type(config) is None:
        hint = "add resetType: hard-reset below os.bootloader"
        yield Finding(
            _RESET_TYPE, "this key is required together with 'storage.resetPartitionsUuidsType'", hint, _RESET_UUIDS
        )


def special_partitions(config: ImageConfig) -> Iterator[Finding]:
    """The ESP is FAT and mounted at /boot/efi; a BIOS boot partition has no file system."""
    filesystems: dict[str, int] = {}
    for number, each in enumerate(config.storage.filesystems):
        filesystems.setdefault(each.device_id, number)
    for path, partition in partitions_of(config):
        with suppress(UnreadableError):
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
    with suppress(UnreadableError):
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
    if config.storage.disks and _reset_type(config) is None:
        hint = "add resetType: hard-reset below os.bootloader"
        at = None if config.os else _DISKS
        yield Finding(_RESET_TYPE, "this key is required together with 'storage.disks'", hint, at=at)


def _reset_type(config: ImageConfig) -> str | None:
    return config.os.bootloader.reset_type if config.os else None


def partitions_of(config: ImageConfig) -> Iterable[tuple[KeyPath, Partition]]:
    """Every partition with its key path."""
    for disk_index, disk in enumerate(config.storage.disks):
        for index, partition in enumerate(disk.partitions):
            yield (*_DISKS, disk_index, "partitions", index), partition


STORAGE_RULES: tuple[Rule[ImageConfig], ...] = (
    one_disk,
    layout,
    disks_and_boot_type,
    filesystems_need_disks,
    special_partitions,
    boot_partition,
    reset_with_disks,
    reset_uuids,
)
