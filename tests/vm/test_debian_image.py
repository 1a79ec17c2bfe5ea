"""A base image of Debian or Ubuntu, repartitioned with a /boot of its own, customised with apt, and booted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.images import BASE_DEB, BASE_UBUNTU, built, customize
from tests.vm.hardware import QUICK

from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images]

_CONFIG = """
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 4G
      partitions:
        - {id: esp, type: esp, size: 64M}
        - {id: boot, type: xbootldr, size: 300M}
        - {id: root, size: grow}
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: umask=0077}}
    - {deviceId: boot, type: ext4, mountPoint: /boot}
    - {deviceId: root, type: ext4, mountPoint: {path: /, idType: uuid}}
os:
  bootloader: {resetType: hard-reset}
  hostname: debbie
  kernelCommandLine:
    extraCommandLine: [norandmaps, console=ttyS0, "greeting=hello world"]
  packages:
    install: [lsof, openssh-server]
    remove: [less]
  services:
    enable: [ssh]
    disable: [apt-daily.timer]
"""


@pytest.mark.parametrize("base", [BASE_DEB, pytest.param(BASE_UBUNTU, marks=pytest.mark.soak)], ids=lambda x: x.stem)
def test_customised_image_boots(base: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(_CONFIG)
    image = tmp_path / "debian.raw"
    done = customize(config, built(base), image, tmp_path / "build")
    assert done.code == 0, done.stderr
    with Machine(image, "raw", QUICK, log_file=tmp_path / "console.log") as machine:
        console = machine.console
        console.login(timeout=600)
        assert console.run("systemctl is-system-running --wait", timeout=300).output.strip() == "running"
        assert console.check("hostname").strip() == "debbie"
        assert console.check("cat /proc/cmdline").strip().endswith('console=ttyS0 "greeting=hello world"')
        types = console.check("for path in / /boot /boot/efi; do findmnt -no FSTYPE --mountpoint $path; done").split()
        assert types == ["ext4", "ext4", "vfat"]
        assert console.check("systemctl is-active ssh").strip() == "active"
        assert console.run("systemctl is-enabled apt-daily.timer").output.strip() == "disabled"
        console.check("dpkg -s lsof openssh-server")
        assert "ok installed" not in console.run("dpkg-query -W -f '${Status}' less").output
        # apt's lists and packages stayed outside the image, and services may start again.
        assert console.check("find /var/cache/apt /var/lib/apt/lists -type f -size +0 | wc -l").strip() == "0"
        assert console.run("test -e /usr/sbin/policy-rc.d").code == 1
