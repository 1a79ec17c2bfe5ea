"""What the kernel of a new system is told, from a configuration and an image."""

from __future__ import annotations

import pytest
from tests.unit.agent.storage.test_deploy_plan import FULL_IMAGE, SMALL_IMAGE, devices_of, image
from tests.unit.config.host.texts import FULL, SMALL

from twinroot.agent.boot.grub_plan import KernelTarget, Overlay, VerityDevice
from twinroot.agent.servicing.kernel_target import etc_overlay, kernel_target, verity_device
from twinroot.config.load_host import parse_host_config

PARTITIONS = "/dev/disk/by-partuuid"


def test_a_root_that_verity_protects() -> None:
    config = parse_host_config(FULL, "a").config
    found = kernel_target(config, devices_of(FULL, "volume-b"), FULL_IMAGE, "disabled")
    option = config.storage.verity[0].corruption_option
    assert found == KernelTarget(
        "/dev/mapper/root",
        "disabled",
        VerityDevice("root", f"{PARTITIONS}/data-b", f"{PARTITIONS}/hash-b", "cd" * 32, option, "ext4", "ro"),
        Overlay("/etc", "/etc/upper", "/etc/work", f"{PARTITIONS}/etc-b"),
        netplan=config.os.netplan is not None,
        extra=config.os.kernel_command_line.extra_command_line,
    )


def test_a_usr_that_verity_protects() -> None:
    config = parse_host_config(SMALL, "a").config
    found = kernel_target(config, devices_of(SMALL), SMALL_IMAGE, None)
    assert found.device.startswith(PARTITIONS) and found.overlay is None
    assert found.verity is not None and (found.verity.name, found.verity.root_hash) == ("usr", "cd" * 32)


@pytest.mark.parametrize("mount_point", ["/var/lib", "/var", "/var/lib/trident-overlay"])
def test_the_overlay_is_named_as_its_file_system_has_it(mount_point: str) -> None:
    devices = devices_of(FULL.replace("mountPoint: /var/lib/trident-overlay", f"mountPoint: {mount_point}"))
    found = etc_overlay(devices)
    assert found is not None
    assert f"{mount_point}{found.upper}" == "/var/lib/trident-overlay/etc/upper"
    assert f"{mount_point}{found.work}" == "/var/lib/trident-overlay/etc/work"


def test_an_image_without_verity_tells_nothing_of_it() -> None:
    assert verity_device(devices_of(FULL), image("/", "/boot", "/boot/efi")) is None
