"""Whether an image is for a configuration (COSI spec, section 10; host-config spec, section 14). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from twinroot.agent.errors import ServicingError
from twinroot.agent.states import ServicingType
from twinroot.agent.storage.devices import Devices
from twinroot.config.host.filesystems import Filesystem
from twinroot.config.host.storage_rules import holding, mounted_at
from twinroot.formats.cosi.model import Filesystem as ImageFilesystem
from twinroot.formats.cosi.model import Metadata
from twinroot.units import ESP, exact

Pairs = Mapping[str, tuple[Filesystem, ImageFilesystem]]
EXT = ("ext4", "ext3", "ext2")


def image_problems(
    devices: Devices, image: Metadata, kind: ServicingType, active_uuids: Mapping[str, str]
) -> Iterator[ServicingError]:
    """Everything for which an image cannot be deployed; nothing when it can.

    `active_uuids` are UUIDs of the filesystems that the running halves of pairs hold, by mount point, in an update.
    """
    for each in devices.storage.filesystems:
        if each.source == "image" and each.mount_point is None:
            message = f"the filesystem on {each.device_id} comes from the image, but has no mount point to find it by"
            yield ServicingError("missing-os-image-filesystem", message, hint="add mountPoint, or source: new")
    wanted = wanted_filesystems(devices)
    there = {each.mount_point: each for each in image.images}
    for path in there.keys() - wanted.keys():
        message = f"the image has a filesystem for {path}, but the configuration has none from the image there"
        yield ServicingError("unused-os-image-filesystem", message, hint="add it to storage.filesystems")
    for path, filesystem in wanted.items():
        needed = (
            kind is ServicingType.CLEAN_INSTALL or filesystem.is_esp or devices.graph.is_on_pair(filesystem.device_id)
        )
        if path not in there and needed:
            message = f"the image has no filesystem for {path}, which the configuration wants from it"
            yield ServicingError(
                "missing-os-image-filesystem", message, hint=f"the image has: {', '.join(sorted(there))}"
            )
    both = {path: (wanted[path], there[path]) for path in sorted(wanted.keys() & there.keys())}
    yield from _uuids(devices, image, kind, active_uuids)
    yield from _verity(devices, both)
    yield from _esp(wanted, image)
    yield from _boot(image)
    for path, (filesystem, found) in both.items():
        yield from _sizes(devices, path, filesystem, found)


def shared_boot(devices: Devices) -> str | None:
    """The mount point of a file system with grub's files that both halves of the root would share; else None.

    An update would change by it what the half that runs is started with, before the new one has proved anything.
    """
    root, boot = mounted_at(devices.storage, "/"), holding(devices.storage, "/boot")
    if root is None or boot is None or boot[1].is_esp or not devices.graph.is_on_pair(root[1].device_id):
        return None
    assert boot[1].mount_point is not None
    return None if devices.graph.is_on_pair(boot[1].device_id) else boot[1].mount_point.target


def wanted_filesystems(devices: Devices) -> dict[str, Filesystem]:
    """The filesystems that come from the image, by mount point."""
    found = (each for each in devices.storage.filesystems if each.source == "image")
    return {each.mount_point.target: each for each in found if each.mount_point}


def _uuids(
    devices: Devices, image: Metadata, kind: ServicingType, active: Mapping[str, str]
) -> Iterator[ServicingError]:
    counts = Counter(each.fs_uuid.lower() for each in image.images if each.part_type != ESP)
    for uuid, count in counts.items():
        if count > 1:
            yield ServicingError("duplicate-fs-uuid", f"{count} filesystems of the image have the UUID {uuid}")
    wanted = wanted_filesystems(devices)
    for each in image.images if kind is ServicingType.AB_UPDATE else ():
        on_pair = each.mount_point in wanted and devices.graph.is_on_pair(wanted[each.mount_point].device_id)
        if on_pair and active.get(each.mount_point, "").lower() == each.fs_uuid.lower():
            message = f"the filesystem for {each.mount_point} has the UUID of the one that runs, {each.fs_uuid}"
            hint = "build the image anew: both halves of a pair must differ"
            yield ServicingError("duplicate-fs-uuid-ab-update", message, hint=hint)


def _verity(devices: Devices, both: Pairs) -> Iterator[ServicingError]:
    for path, (filesystem, found) in both.items():
        device = devices.verity(filesystem.device_id)
        if (device is None) != (found.verity is None):
            has, lacks = ("image", "configuration") if device is None else ("configuration", "image")
            yield ServicingError("verity-mismatch", f"the {has} protects {path} by verity, the {lacks} does not")
        elif found.verity and (found.verity.hash_offset is not None or found.verity.image.path == found.image.path):
            message = f"the hashes of {path} lie behind its data, but the configuration has a partition for them"
            yield ServicingError("verity-mismatch", message)


def _esp(wanted: Mapping[str, Filesystem], image: Metadata) -> Iterator[ServicingError]:
    esps = [each for each in image.images if each.part_type == ESP]
    ours = [path for path, filesystem in wanted.items() if filesystem.is_esp]
    for each in esps:
        if ours and each.mount_point != ours[0]:
            message = (
                f"the EFI system partition is at {each.mount_point} in the image, at {ours[0]} in the configuration"
            )
            yield ServicingError("esp-mount-point-mismatch", message)
        if each.verity:
            yield ServicingError("unexpected-verity-on-esp", "the image protects the EFI system partition by verity")


def _boot(image: Metadata) -> Iterator[ServicingError]:
    above = [each for each in image.images if each.mount_point in ("/", "/boot")]
    found = max(above, key=lambda each: len(each.mount_point), default=None)
    if found is None or found.fs_type not in EXT:
        what = f"{found.mount_point} is {found.fs_type}" if found else "the image has none"
        message = f"the filesystem that holds /boot must be ext4, but {what}"
        yield ServicingError("unsupported-boot-file-system-type", message)


def _sizes(devices: Devices, path: str, filesystem: Filesystem, found: ImageFilesystem) -> Iterator[ServicingError]:
    assert filesystem.device_id is not None  # what comes from an image is on a device
    verity = devices.verity(filesystem.device_id)
    sizes = [(path, found.image.uncompressed_size, filesystem.device_id)]
    if verity and found.verity:
        sizes.append((f"the hashes of {path}", found.verity.image.uncompressed_size, verity.hash_device_id))
    for what, size, device_id in sizes:
        room = devices.graph.size_of(device_id)
        if room is not None and size > room:
            message = f"the image of {what} needs {exact(size)}, but {device_id} has only {exact(room)}"
            yield ServicingError("filesystem-size-exceeds-block-device", message, hint="make the partition larger")
