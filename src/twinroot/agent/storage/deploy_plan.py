"""What is written onto which device, and what is mounted from where: plans of an installation or an A/B update. Pure.

Servicing spec, sections 6.1 (steps 7 and 8), 6.6, 7.3, 7.4 and 12.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from twinroot.agent.states import ServicingType
from twinroot.agent.storage.devices import Devices
from twinroot.agent.storage.image_checks import EXT, wanted_filesystems
from twinroot.config.host.filesystems import Filesystem
from twinroot.config.host.storage_rules import ETC_OVERLAY, root_verity
from twinroot.formats.cosi.model import Filesystem as ImageFilesystem
from twinroot.formats.cosi.model import ImageFile, Metadata
from twinroot.storage.fstab import render_line

ROOT_OVERLAY = f"{ETC_OVERLAY}/etc"
"""Where a system whose root cannot change keeps what differs in /etc: below it are `upper` and `work`."""


@dataclass(frozen=True)
class ImageWrite:
    """An image and the device that it goes onto. With `grow`, its ext filesystem is grown to the device afterwards.

    With `wipe`, what was there before is made unrecognisable first: behind the image's end it would stay.
    """

    image: ImageFile
    device_id: str
    target: Path
    grow: bool
    wipe: bool = False


@dataclass(frozen=True)
class NewFilesystem:
    """A device that gets an empty filesystem."""

    device_id: str
    target: Path
    type: str


@dataclass(frozen=True)
class VerityOpen:
    """A verity device: while the new system is prepared, it is opened as `name`."""

    name: str
    data: Path
    hashes: Path
    root_hash: str


@dataclass(frozen=True)
class Deployment:
    """Everything that is written. `images` are in the order of the archive."""

    images: tuple[ImageWrite, ...]
    filesystems: tuple[NewFilesystem, ...]
    swaps: tuple[Path, ...]
    verity: tuple[VerityOpen, ...]


@dataclass(frozen=True)
class MountStep:
    """One mount of the new system; `path` as the system sees it."""

    source: str
    path: str
    type: str
    options: str


IN_MEMORY = (
    MountStep("tmpfs", "/tmp", "tmpfs", "mode=1777"),
    MountStep("tmpfs", "/run", "tmpfs", "mode=0755"),
)
"""What every system has in memory while it runs, whatever its image has there."""
_STAND_IN = MountStep("tmpfs", "/", "tmpfs", "mode=0755")


def plan_deployment(devices: Devices, image: Metadata, kind: ServicingType) -> Deployment:
    """What an installation or an A/B update writes. In an update, that is what lies on pairs."""
    install = kind is ServicingType.CLEAN_INSTALL
    there = {each.mount_point: each for each in image.images}
    writes: list[ImageWrite] = []
    made: list[NewFilesystem] = []
    verity: list[VerityOpen] = []
    for path, filesystem in wanted_filesystems(devices).items():
        device_id = filesystem.device_id
        assert device_id is not None  # what comes from an image is on a device
        if filesystem.is_esp:
            # Its files are copied, so that those of the other half stay.
            if install and not devices.is_adopted(device_id):
                made.append(NewFilesystem(device_id, devices.path(device_id), "vfat"))
        elif path in there and (install or devices.graph.is_on_pair(device_id)):
            writes += _writes(devices, filesystem, there[path])
            verity += _verity(devices, device_id, there[path])
    for filesystem in devices.storage.filesystems:
        device_id = filesystem.device_id
        new = filesystem.source == "new" and device_id is not None and not filesystem.is_esp
        if new and device_id and (install or devices.graph.is_on_pair(device_id)):
            made.append(NewFilesystem(device_id, devices.path(device_id), str(filesystem.type)))
    if install:
        writes = [replace(each, wipe=True) for each in writes]
    order = list(image.image_files())
    swaps = tuple(devices.path(swap.device_id) for swap in devices.storage.swap) if install else ()
    return Deployment(
        tuple(sorted(writes, key=lambda each: order.index(each.image.path))), tuple(made), swaps, tuple(verity)
    )


def _writes(devices: Devices, filesystem: Filesystem, found: ImageFilesystem) -> list[ImageWrite]:
    assert filesystem.device_id is not None
    device = devices.verity(filesystem.device_id)
    if device is None or found.verity is None:
        read_only = filesystem.mount_point is not None and filesystem.mount_point.read_only
        grow = found.fs_type in EXT and not read_only
        return [ImageWrite(found.image, filesystem.device_id, devices.path(filesystem.device_id), grow)]
    return [
        ImageWrite(found.image, device.data_device_id, devices.path(device.data_device_id), False),
        ImageWrite(found.verity.image, device.hash_device_id, devices.path(device.hash_device_id), False),
    ]


def _verity(devices: Devices, device_id: str, found: ImageFilesystem) -> list[VerityOpen]:
    device = devices.verity(device_id)
    if device is None or found.verity is None:
        return []
    data, hashes = devices.path(device.data_device_id), devices.path(device.hash_device_id)
    return [VerityOpen(f"{device.name}_new", data, hashes, found.verity.roothash)]


def plan_mounts(devices: Devices, image: Metadata | None) -> tuple[MountStep, ...]:
    """The mounts of the new system while it is prepared, each behind those that it lies in.

    Without the image, mount finds out which types its filesystems have, and nobody knows the root hash of what verity
    protects: in place of such a root is an empty file system in memory, for the sake of what is mounted in it.
    """
    steps: list[MountStep] = []
    for filesystem in devices.storage.filesystems:
        if filesystem.mount_point is None:
            continue
        path = filesystem.mount_point.target
        verity = devices.verity(filesystem.device_id)
        if verity and image is None:
            steps += [_STAND_IN] if path == "/" else []
            continue
        source = f"/dev/mapper/{verity.name}_new" if verity else _source(devices, filesystem)
        steps.append(MountStep(source, path, _type(filesystem, image), filesystem.mount_point.options))
    taken = {step.path for step in steps}
    steps += [step for step in IN_MEMORY if step.path not in taken]
    return tuple(sorted(steps, key=lambda step: [part for part in step.path.split("/") if part]))


def fstab(devices: Devices, image: Metadata) -> str:
    """The new system's fstab, in the order of the configuration (servicing spec 12.3)."""
    lines = []
    for filesystem in devices.storage.filesystems:
        if filesystem.mount_point is None:
            continue
        path, options = filesystem.mount_point.target, filesystem.mount_point.options or "defaults"
        check = "1" if path == "/" else "2"
        line = render_line(_source(devices, filesystem), path, _type(filesystem, image), options, check)
        if devices.verity(filesystem.device_id):
            line = f"# Mounted by the initramfs, as dm-verity protects it: {line}"
        lines.append(line)
    if root_verity(devices.storage):
        options = f"lowerdir=/etc,upperdir={ROOT_OVERLAY}/upper,workdir={ROOT_OVERLAY}/work,ro"
        lines.append(render_line("overlay", "/etc", "overlay", options, "2"))
    for swap in devices.storage.swap:
        lines.append(render_line(str(devices.path(swap.device_id)), "none", "swap", "sw", "0"))
    return "".join(lines)


def _source(devices: Devices, filesystem: Filesystem) -> str:
    if filesystem.device_id is None:
        return str(filesystem.type)
    return str(devices.path(filesystem.device_id))


def _type(filesystem: Filesystem, image: Metadata | None) -> str:
    """The type to mount; that of what comes from the image is in its metadata. ext4 reads its older kinds."""
    if filesystem.source != "image":
        return filesystem.type or "auto"
    path = filesystem.mount_point.target if filesystem.mount_point else ""
    found = next((each.fs_type for each in image.images if each.mount_point == path), "auto") if image else "auto"
    return "ext4" if found in EXT else found
