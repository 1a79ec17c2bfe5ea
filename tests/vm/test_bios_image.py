"""A Debian base image laid out for BIOS machines, started by SeaBIOS from grub's own first stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.images import BASE_DEB, built, customize
from tests.vm.hardware import QUICK

from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images]

_CONFIG = """
storage:
  bootType: legacy
  disks:
    - partitionTableType: gpt
      maxSize: 3G
      partitions:
        - {id: bios, type: bios-grub, size: 1M}
        - {id: boot, type: xbootldr, size: 300M}
        - {id: root, type: root, size: grow}
  filesystems:
    - {deviceId: boot, type: ext4, mountPoint: /boot}
    - {deviceId: root, type: ext4, mountPoint: {path: /, idType: uuid}}
os:
  bootloader: {resetType: hard-reset}
  hostname: biosy
  kernelCommandLine:
    extraCommandLine: [console=ttyS0, norandmaps]
  packages:
    install: [grub-pc-bin]
"""


def test_a_bios_boots_it(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(_CONFIG)
    image = tmp_path / "bios.raw"
    done = customize(config, built(BASE_DEB), image, tmp_path / "build")
    assert done.code == 0, done.stderr
    assert "this host's is used" not in done.stderr
    with Machine(image, "raw", replace(QUICK, firmware="bios"), log_file=tmp_path / "console.log") as machine:
        console = machine.console
        console.login(timeout=600)
        assert console.check("hostname").strip() == "biosy"
        assert console.run("test -e /sys/firmware/efi").code == 1
        assert console.check("findmnt -no FSTYPE --mountpoint /boot").strip() == "ext4"
        assert console.check("ls /boot/grub/i386-pc/normal.mod").strip() == "/boot/grub/i386-pc/normal.mod"
