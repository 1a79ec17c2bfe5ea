"""What must hold between verity devices, disks and file systems (image-config spec, section 5, rules 2.e to 2.s).

Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.layout import resolve_layout
from twinroot.config.image.storage import Filesystem
from twinroot.config.image.verity import Verity
from twinroot.config.image.verity_size import inline_data_size
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.config.section import UnreadableError
from twinroot.units import exact

_DISKS: KeyPath = ("storage", "disks")
_FILESYSTEMS: KeyPath = ("storage", "filesystems")
_VERITY: KeyPath = ("storage", "verity")
_NAMES = {"/": "root", "/usr": "usr"}


def one_family(config: ImageConfig) -> Iterator[Finding]:
    """Partitions are named by id in all verity devices, or by label in all."""
    ways = {device.by_id for device in config.storage.verity if device.by_id != device.by_label}
    if len(ways) > 1:
        hint = "use dataDeviceId and hashDeviceId with storage.disks, dataDevice and hashDevice without"
        yield Finding(_VERITY, "some verity devices name partitions by id, others by label", hint)


def verity_and_disks(config: ImageConfig) -> Iterator[Finding]:
    """Ids name new partitions, labels those of the base image."""
    for index, device in enumerate(config.storage.verity):
        with suppress(UnreadableError):
            yield from _naming(device, (*_VERITY, index), has_disks=bool(config.storage.disks))


def _naming(device: Verity, path: KeyPath, *, has_disks: bool) -> Iterator[Finding]:
    if device.by_id and device.by_label:
        return  # the device says so itself
    if device.by_id and not has_disks:
        key = "dataDeviceId" if device.data_device_id else "hashDeviceId"
        hint = "name partitions of the base image with dataDevice and hashDevice"
        yield Finding((*path, key), "this key is only allowed together with 'storage.disks'", hint)
    if device.by_label and has_disks:
        key = "dataDevice" if device.data_device else "hashDevice"
        hint = "name partitions of storage.disks with dataDeviceId and hashDeviceId"
        yield Finding((*path, key), "this key is not allowed together with 'storage.disks'", hint)


def inline_sizes(config: ImageConfig) -> Iterator[Finding]:
    """A partition that holds data and hashes has room for both."""
    layout = resolve_layout(config.storage.disks[0], (*_DISKS, 0))[0] if config.storage.disks else None
    sizes = {partition.id: partition.size for partition in layout.partitions} if layout else {}
    for index, device in enumerate(config.storage.verity):
        with suppress(UnreadableError):
            data = device.data_device_id or ""
            size = sizes.get(data)
            if device.is_inline and size is not None and not inline_data_size(size):
                message = f"the partition {quoted(data)} ({exact(size)}) is too small for data and hashes"
                yield Finding((*_VERITY, index, "dataDeviceId"), message, "2M is the least")


def file_systems(config: ImageConfig) -> Iterator[Finding]:
    """A verity device carries one file system, mounted read-only at `/` or `/usr`."""
    numbers: dict[str, int] = {}
    for number, filesystem in enumerate(config.storage.filesystems):
        numbers.setdefault(filesystem.device_id, number)
    for index, device in enumerate(config.storage.verity):
        with suppress(UnreadableError):
            if device.id in numbers:
                number = numbers[device.id]
                yield from _mount_findings(device, index, config.storage.filesystems[number], (*_FILESYSTEMS, number))
            elif device.by_id and config.storage.disks:
                hint = f"add to filesystems one with the deviceId {quoted(device.id)}"
                yield Finding((*_VERITY, index), f"the verity device {quoted(device.id)} needs a file system", hint)


def _mount_findings(device: Verity, index: int, filesystem: Filesystem, path: KeyPath) -> Iterator[Finding]:
    mounts = list(filesystem.mounts())
    if len(mounts) != 1:
        count = "no mount point" if not mounts else f"{len(mounts)} mount points"
        hint = "mount it exactly once, at / or /usr"
        yield Finding(path, f"the file system of the verity device {quoted(device.id)} has {count}", hint)
    for inner, point in mounts:
        target = point.target
        if target not in _NAMES:
            message = f"a verity device can be mounted at / or /usr, not at {quoted(target)}"
            yield Finding((*path, *inner, "path"), message)
        elif device.name != _NAMES[target]:
            message = f"the verity device mounted at {target} must have the name {_NAMES[target]}"
            yield Finding((*_VERITY, index, "name"), message)
        if "ro" not in point.options.split(","):
            hint = f"write the options {quoted(','.join(filter(None, ['ro', point.options])))}"
            yield Finding((*path, *inner, "options"), "a verity device must be mounted with the option ro", hint)
        if point.id_type is not None:
            yield Finding((*path, *inner, "idType"), "this key is not allowed for a verity device", "remove it")


VERITY_RULES: tuple[Rule[ImageConfig], ...] = (
    one_family,
    verity_and_disks,
    inline_sizes,
    file_systems,
)
