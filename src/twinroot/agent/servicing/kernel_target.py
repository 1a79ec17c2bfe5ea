"""What the kernel of a new system is told of its root, /usr and /etc (servicing spec, section 11.5). Pure."""

from __future__ import annotations

from twinroot.agent.boot.grub_plan import KernelTarget, Overlay, SelinuxMode, VerityDevice
from twinroot.agent.storage.deploy_plan import ROOT_OVERLAY
from twinroot.agent.storage.devices import Devices
from twinroot.config.host.config import HostConfig
from twinroot.config.host.storage_rules import holding, mounted_at, root_verity
from twinroot.formats.cosi.model import Metadata


def kernel_target(config: HostConfig, devices: Devices, image: Metadata, mode: SelinuxMode | None) -> KernelTarget:
    """What a configuration and an image make of the kernel line of the half that `devices` are seen from."""
    root = mounted_at(config.storage, "/")
    assert root is not None and root[1].device_id is not None
    return KernelTarget(
        str(devices.path(root[1].device_id)),
        selinux=mode,
        verity=verity_device(devices, image),
        overlay=etc_overlay(devices),
        netplan=config.os.netplan is not None,
        extra=config.os.kernel_command_line.extra_command_line,
    )


def verity_device(devices: Devices, image: Metadata) -> VerityDevice | None:
    """The device that verity protects: there is one at the most."""
    for filesystem in devices.storage.filesystems:
        device, point = devices.verity(filesystem.device_id), filesystem.mount_point
        if device is None or point is None:
            continue
        found = next((each for each in image.images if each.mount_point == point.target), None)
        if found is None or found.verity is None:
            return None  # An image that does not protect it is refused, unless that was allowed.
        return VerityDevice(
            device.name,
            str(devices.path(device.data_device_id)),
            str(devices.path(device.hash_device_id)),
            found.verity.roothash,
            device.corruption_option,
            found.fs_type,
            point.options.removeprefix("defaults,"),
        )
    return None


def etc_overlay(devices: Devices) -> Overlay | None:
    """The overlay over /etc of a root that cannot change, by the directories of the file system that holds it."""
    if root_verity(devices.storage) is None:
        return None
    found = holding(devices.storage, ROOT_OVERLAY)
    assert found is not None and found[1].mount_point is not None and found[1].device_id is not None
    inside = "/" + ROOT_OVERLAY.removeprefix(found[1].mount_point.target).lstrip("/")
    return Overlay("/etc", f"{inside}/upper", f"{inside}/work", str(devices.path(found[1].device_id)))
