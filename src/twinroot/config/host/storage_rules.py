"""What a machine needs to boot and to be serviced (host-config spec, sections 6.5, 4 and 7.8). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from twinroot.config.checks import Rule
from twinroot.config.host.config import HostConfig
from twinroot.config.host.filesystems import ESP_MOUNT_POINT, Filesystem
from twinroot.config.host.graph import Kind, graph_of
from twinroot.config.host.internal_params import is_set
from twinroot.config.host.scalars import usual_spelling
from twinroot.config.host.storage import Storage
from twinroot.config.host.verity import VerityDevice
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.config.section import UnreadableError

TEMPORARY = "/var/tmp"
ETC_OVERLAY = "/var/lib/trident-overlay"

_STORAGE: KeyPath = ("storage",)
_FILESYSTEMS: KeyPath = ("storage", "filesystems")
_VERITY: KeyPath = ("storage", "verity")
_VERITY_NAMES = {"/": "root", "/usr": "usr"}


def mounted_at(storage: Storage, path: str) -> tuple[int, Filesystem] | None:
    """The file system mounted exactly at a path, with its index; UnreadableError when it may be one that is wrong."""
    complete = True
    for index, filesystem in enumerate(storage.filesystems):
        try:
            if filesystem.mount_point and filesystem.mount_point.target == path:
                return index, filesystem
        except UnreadableError:
            complete = False
    if not complete:
        raise UnreadableError(path)
    return None


def holding(storage: Storage, path: str) -> tuple[int, Filesystem] | None:
    """The file system that a path is on, with its index: that with the longest mount point leading to it."""
    found: tuple[int, Filesystem] | None = None
    longest = -1
    path = usual_spelling(path)
    for index, filesystem in enumerate(storage.filesystems):
        if filesystem.mount_point is None:
            continue
        target = filesystem.mount_point.target
        if f"{path}/".startswith(f"{target.rstrip('/')}/") and len(target) > longest:
            longest = len(target)
            found = index, filesystem
    return found


def esp_mount(config: HostConfig) -> Iterator[Finding]:
    """There is an EFI system partition with content."""
    storage = config.storage
    if storage == Storage():
        return
    esp = [index for index, filesystem in enumerate(storage.filesystems) if filesystem.is_esp]
    if esp:
        yield from _needs_content(storage, esp[0])
    else:
        message = f"there is no EFI system partition: a file system mounted at {ESP_MOUNT_POINT}"
        yield Finding(_FILESYSTEMS, message, at=_STORAGE, code="esp-mount-point-not-found")


def root_mount(config: HostConfig) -> Iterator[Finding]:
    """There is a root with content."""
    storage = config.storage
    if storage == Storage():
        return
    root = mounted_at(storage, "/")
    if root:
        yield from _needs_content(storage, root[0])
    else:
        message = "there is no file system mounted at /"
        yield Finding(_FILESYSTEMS, message, at=_STORAGE, code="expected-mount-point-not-found")


def temporary_mount(config: HostConfig) -> Iterator[Finding]:
    """/var/tmp can be written."""
    temporary = holding(config.storage, TEMPORARY)
    if temporary and temporary[1].mount_point and temporary[1].mount_point.read_only:
        message = f"{TEMPORARY} is on this file system, which must be writable"
        hint = f"remove the option ro, or add a file system for {TEMPORARY}"
        path = (*_FILESYSTEMS, temporary[0], "mountPoint", "options")
        yield Finding(path, message, hint, code="var-tmp-on-read-only-volume")


def _needs_content(storage: Storage, index: int) -> Iterator[Finding]:
    filesystem = storage.filesystems[index]
    if not filesystem.has_content and filesystem.mount_point:
        message = f"the file system at {filesystem.mount_point.target} must come from the image or be adopted"
        path = (*_FILESYSTEMS, index, "source")
        yield Finding(path, message, code="mount-point-not-backed-by-image")


def verity_devices(config: HostConfig) -> Iterator[Finding]:
    """There is one verity device, with one file system, mounted read-only at / or /usr."""
    storage = config.storage
    for index in range(1, len(storage.verity)):
        yield Finding((*_VERITY, index), "only one verity device is supported", code="unsupported-verity-devices")
    for index, device in enumerate(storage.verity[:1]):
        on = [number for number, each in enumerate(storage.filesystems) if each.device_id == device.id]
        if not on:
            message = f"the verity device {quoted(device.id)} needs a file system"
            hint = f"add to filesystems one with deviceId: {device.id}"
            yield Finding((*_VERITY, index), message, hint, code="unsupported-verity-devices")
        for number in on[:1]:
            yield from _verity_mount(device, (*_VERITY, index), storage.filesystems[number], (*_FILESYSTEMS, number))


def _verity_mount(device: VerityDevice, where: KeyPath, filesystem: Filesystem, path: KeyPath) -> Iterator[Finding]:
    point = filesystem.mount_point
    if point is None:
        message = f"the file system of the verity device {quoted(device.id)} needs a 'mountPoint'"
        yield Finding(path, message, "mount it at / or /usr", code="verity-filesystem-without-mount-point")
        return
    if point.target not in _VERITY_NAMES:
        message = f"a verity device can be mounted at / or /usr, not at {quoted(point.target)}"
        yield Finding((*path, "mountPoint", "path"), message, code="unsupported-verity-devices")
    elif device.name != _VERITY_NAMES[point.target]:
        message = f"the verity device mounted at {point.target} must have the name {_VERITY_NAMES[point.target]}"
        yield Finding((*where, "name"), message, code="verity-device-name-invalid")
    if not point.read_only:
        hint = f"write options: {point.options},ro"
        message = "a verity device must be mounted with the option ro"
        yield Finding((*path, "mountPoint", "options"), message, hint, code="verity-device-mounted-read-write")


def root_verity(storage: Storage) -> VerityDevice | None:
    """The verity device mounted at `/`."""
    root = mounted_at(storage, "/")
    return next((device for device in storage.verity if root and root[1].device_id == device.id), None)


def read_only_root(config: HostConfig) -> Iterator[Finding]:
    """With a root that cannot change, /boot is on its own, and /etc has a place for what changes."""
    storage = config.storage
    device = root_verity(storage)
    if device is None:
        return
    with suppress(UnreadableError):
        yield from _boot_mount(storage)
    with suppress(UnreadableError):
        yield from _etc_overlay(storage, device)
    if is_set(config.internal_params, "selfUpgradeTrident"):
        message = "the agent cannot be replaced in a root that cannot change"
        path: KeyPath = ("internalParams", "selfUpgradeTrident")
        yield Finding(path, message, code="self-upgrade-on-read-only-root-verity-fs")


def _boot_mount(storage: Storage) -> Iterator[Finding]:
    boot = mounted_at(storage, "/boot")
    if boot:
        yield from _needs_content(storage, boot[0])
    else:
        message = "with a verity device at /, /boot needs a file system of its own"
        yield Finding(_FILESYSTEMS, message, code="expected-mount-point-not-found")


def _etc_overlay(storage: Storage, device: VerityDevice) -> Iterator[Finding]:
    found = holding(storage, ETC_OVERLAY)
    if found is None:
        return  # without any root there is another finding
    index, filesystem = found
    path: KeyPath = (*_FILESYSTEMS, index)
    kind = None if filesystem.device_id is None else graph_of(storage).find(filesystem.device_id)
    hint = f"add a file system for {ETC_OVERLAY}"
    what = f"changes of /etc are kept in {ETC_OVERLAY}, which is on this file system"
    if filesystem.device_id in (device.id, device.data_device_id):
        message = f"{what}, but it cannot be changed"
        yield Finding(path, message, hint, code="overlay-on-verity-protected-volume")
    elif filesystem.device_id is None:
        yield Finding(path, f"{what}, but it has no device", hint, code="mount-point-not-backed-by-block-device")
    elif storage.ab_update and kind and kind.kind is not Kind.PAIR:
        code = "mount-point-not-backed-by-ab-update-volume-pair"
        yield Finding(path, f"{what}, but it is not on an A/B pair", hint, code=code)
    elif filesystem.mount_point and filesystem.mount_point.read_only:
        yield Finding(
            (*path, "mountPoint", "options"), f"{what}, but it is read-only", hint, code="overlay-on-read-only-volume"
        )


def datastore(config: HostConfig) -> Iterator[Finding]:
    """The agent finds its database again after an update: it is on a device that all updates share."""
    if config.trident.disable:
        return
    where: KeyPath = ("trident", "datastorePath")
    place = config.trident.datastore_path
    found = holding(config.storage, place)
    if found is None or found[1].device_id is None:
        message = f"the agent's database {quoted(place)} is on no file system of the configuration that has a device"
        hint = "add a file system for it, or set trident.disable: true"
        if config.image and config.storage == Storage():
            # The peer's `validate` refuses it as well: what the machine has is known to `update` alone.
            hint = "add the section storage; trident update does without it, as it takes that of the machine"
        at = ("trident",) if config.storage == Storage() else _FILESYSTEMS
        yield Finding(where, message, hint, at=at, code="datastore-path-not-in-known-volume")
        return
    if found[1].mount_point and found[1].mount_point.read_only:
        message = f"the agent's database {quoted(place)} is on a file system that is mounted read-only"
        hint = "add a file system for it, for example at /var/lib/trident"
        yield Finding(where, message, hint, at=(*_FILESYSTEMS, found[0]), code="datastore-path-not-in-known-volume")
        return
    device = graph_of(config.storage).find(found[1].device_id)
    if device and device.kind is Kind.PAIR:
        message = (
            f"the agent's database {quoted(place)} is on the A/B pair {quoted(device.id)}, so updates would lose it"
        )
        hint = "add a file system for it on a device that is no pair, for example at /var/lib/trident"
        yield Finding(where, message, hint, at=(*_FILESYSTEMS, found[0]), code="datastore-path-in-a-b-update-volume")


def extensions(config: HostConfig) -> Iterator[Finding]:
    """With A/B pairs, extensions are on one: each half has its own."""
    if config.storage.ab_update is None:
        return
    graph = graph_of(config.storage)
    for key, found in (("sysexts", config.os.sysexts), ("confexts", config.os.confexts)):
        for index, extension in enumerate(found):
            place = holding(config.storage, extension.directory)
            if place is None or not graph.is_on_pair(place[1].device_id):
                message = f"extensions in {extension.directory} must be on an A/B pair"
                hint = f"add to filesystems one on a pair, mounted at {extension.directory}"
                path: KeyPath = ("os", key, index)
                yield Finding(path, message, hint, code="extension-image-not-on-a-b-volume")


STORAGE_RULES: tuple[Rule[HostConfig], ...] = (
    esp_mount,
    root_mount,
    temporary_mount,
    verity_devices,
    read_only_root,
    datastore,
    extensions,
)
