"""What is being done: the kind of servicing, the configuration, the image, the devices, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from posixpath import commonpath

from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume, HostStatus
from twinroot.agent.osconfig.files import LoadedFile, load_files
from twinroot.agent.scripts import Loaded, load
from twinroot.agent.states import ServicingType
from twinroot.agent.storage.devices import Devices, update_volume
from twinroot.config.host.config import HostConfig
from twinroot.config.host.filesystems import Filesystem
from twinroot.config.host.internal_params import is_set
from twinroot.config.host.storage_rules import root_verity
from twinroot.events import Emit
from twinroot.formats.cosi.model import Filesystem as ImageFilesystem
from twinroot.formats.cosi.model import Metadata
from twinroot.formats.cosi.reader import CosiFile


@dataclass(frozen=True)
class Job:
    """An installation or an A/B update. `devices` are seen from the half that is written, `active` is the other one."""

    kind: ServicingType
    config: HostConfig
    cosi: CosiFile
    devices: Devices
    active: AbVolume | None
    install_index: int
    variables: EfiVariables
    emit: Emit

    @property
    def image(self) -> Metadata:
        """The metadata of the image."""
        return self.cosi.metadata

    @property
    def target(self) -> AbVolume:
        """The half that is written."""
        return self.devices.volume

    @property
    def installs(self) -> bool:
        """Whether it is an installation."""
        return self.kind is ServicingType.CLEAN_INSTALL

    @cached_property
    def uki(self) -> bool:
        """Whether the image starts by unified kernels."""
        loader = self.image.bootloader
        return is_set(self.config.internal_params, "uki") or (loader is not None and loader.type == "systemd-boot")

    @property
    def sealed(self) -> bool:
        """Whether nothing of the root can be changed: it is protected, and no arguments reach the kernel."""
        return self.uki and root_verity(self.config.storage) is not None

    @cached_property
    def esp(self) -> Filesystem:
        """The EFI system partition of the configuration."""
        return esp_of(self.config)

    @cached_property
    def boot_filesystem(self) -> ImageFilesystem:
        """The filesystem of the image that holds /boot."""
        above = [each for each in self.image.images if commonpath(("/boot", each.mount_point)) == each.mount_point]
        if not above:
            message = "the image has no filesystem that holds /boot"
            raise ServicingError("unsupported-boot-file-system-type", message)
        return max(above, key=lambda each: len(each.mount_point))


@dataclass(frozen=True)
class Materials:
    """What of a configuration is read before anything is written, so that what was checked is what is used."""

    post_provision: tuple[Loaded, ...]
    post_configure: tuple[Loaded, ...]
    files: tuple[LoadedFile, ...]


def read_materials(config: HostConfig, kind: ServicingType) -> Materials:
    """Read all scripts that will run and files that will be written; ServicingError for the first that cannot be.

    Scripts of `preServicing` have run before: they may make what is read here.
    """
    scripts = config.scripts
    return Materials(
        load(scripts.post_provision, "scripts.postProvision", kind),
        load(scripts.post_configure, "scripts.postConfigure", kind),
        load_files(config.os.additional_files),
    )


def esp_of(config: HostConfig) -> Filesystem:
    """The EFI system partition of a configuration; ServicingError when it has none."""
    found = next((each for each in config.storage.filesystems if each.is_esp), None)
    if found is None or found.device_id is None or found.mount_point is None:
        message = "the configuration has no EFI system partition"
        hint = "add a filesystem with the mount point /boot/efi to storage.filesystems"
        raise ServicingError("deploy-esp-images", message, hint=hint)
    return found


def root_of(config: HostConfig) -> Filesystem:
    """The root filesystem of a configuration; ServicingError when it has none."""
    for each in config.storage.filesystems:
        if each.mount_point and each.mount_point.target == "/" and each.device_id is not None:
            return each
    raise ServicingError("mount-newroot", "the configuration has no filesystem with the mount point /")


def root_path(status: HostStatus, config: HostConfig, volume: AbVolume) -> Path:
    """The partition (or array, or volume) of the root of a half; of a root that verity protects, that of its data."""
    devices = Devices(config.storage, dict(status.partition_paths), volume)
    root_id = root_of(config).device_id
    assert root_id is not None
    verity = devices.verity(root_id)
    return devices.path(verity.data_device_id if verity else root_id)


def devices_of(status: HostStatus, config: HostConfig, kind: ServicingType) -> Devices:
    """The devices of a configuration, seen from the half that a kind of servicing writes."""
    return Devices(config.storage, dict(status.partition_paths), update_volume(kind, status.ab_active_volume))


def with_image_hash(config: HostConfig, cosi: CosiFile) -> HostConfig:
    """The configuration with the hash of the image's metadata, where it said that any is right."""
    assert config.image is not None
    return config.model_copy(update={"image": config.image.model_copy(update={"sha384": cosi.metadata_sha384})})
