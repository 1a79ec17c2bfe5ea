"""The machine's ESP and firmware while a command works on them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.boot.slots import BootSide
from twinroot.agent.errors import ServicingError
from twinroot.agent.servicing.job import esp_of
from twinroot.agent.servicing.machine import architecture, boot_partition
from twinroot.agent.storage.devices import Devices
from twinroot.agent.stream import write_image
from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import is_set
from twinroot.formats.cosi.reader import CosiFile
from twinroot.formats.efi_boot import HardDrive
from twinroot.interrupts import held
from twinroot.tools.run import run
from twinroot.units import ESP

RUN = Path("/run/trident")
"""Where the agent keeps what ends with the running system."""


def boot_side(config: HostConfig, install_index: int, esp: Path, variables: EfiVariables) -> BootSide:
    """What starts the machine, its ESP being mounted at `esp`."""
    return BootSide(
        esp,
        architecture(),
        variables,
        fallback=config.os.uefi_fallback,
        install_index=install_index,
        keep_order=is_set(config.internal_params, "virtdeployBootOrderWorkaround"),
    )


@contextmanager
def mounted_esp(device: Path) -> Iterator[Path]:
    """The machine's ESP, mounted at a place of our own while the block runs; on the disk when it has ended.

    The running system may have it mounted as well: it is the same file system to the kernel.
    """
    with _mounted(device, "rw,nodev,nosuid,noexec,umask=0077", "esp") as directory:
        yield directory
        _sync(directory)


@contextmanager
def esp_content(cosi: CosiFile, scratch: Path) -> Iterator[Path]:
    """The files of the ESP of an image, in a directory that lives as long as the block; `scratch` has room for them."""
    found = [each for each in cosi.metadata.images if each.part_type == ESP]
    if len(found) != 1:
        message = f"the image has {len(found)} EFI system partitions, where one is needed"
        raise ServicingError("deploy-esp-images", message)
    with tempfile.NamedTemporaryFile(prefix="trident-esp-", dir=scratch) as file:
        # Zeros are not written: a hole takes no room.
        file.truncate(found[0].image.uncompressed_size)
        write_image(cosi, found[0].image, Path(file.name))
        with _mounted(Path(file.name), "loop,ro,nodev,nosuid,noexec", "image-esp") as directory:
            yield directory


def esp_partitions(devices: Devices, config: HostConfig) -> tuple[HardDrive, ...]:
    """The partitions that hold the ESP, as boot entries name them; several where it is mirrored."""
    device_id = esp_of(config).device_id
    assert device_id is not None
    return tuple(boot_partition(devices.path(partition.id)) for partition in devices.graph.partitions(device_id))


def esp_device(devices: Devices, config: HostConfig) -> Path:
    """The device that the ESP is mounted from."""
    device_id = esp_of(config).device_id
    assert device_id is not None
    return devices.path(device_id)


@contextmanager
def _mounted(source: Path, options: str, name: str) -> Iterator[Path]:
    RUN.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=RUN))
    try:
        with held():
            run(["mount", "-t", "vfat", "-o", options, source, directory])
        try:
            yield directory
        finally:
            with held():
                run(["umount", directory])
    finally:
        directory.rmdir()


def _sync(directory: Path) -> None:
    """What was written to the file system of a directory is on its disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.sync()
