"""An installation: an installer that runs from memory, a blank disk, a machine that is provisioned after its start."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vm.installer import build_installer
from tests.vm.servicing import Images, Serviced, await_start, serving, status, switch_off, url_for_guest, version

from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(2400)]

_STORAGE = {
    "disks": [
        {
            "id": "os",
            "device": "/dev/vda",
            "partitionTableType": "gpt",
            "partitions": [
                {"id": "esp", "type": "esp", "size": "64M"},
                {"id": "root-a", "type": "root", "size": "3G"},
                {"id": "root-b", "type": "root", "size": "3G"},
                {"id": "trident", "type": "linux-generic", "size": "100M"},
                {"id": "data", "type": "linux-generic", "size": "grow"},
                {"id": "swap", "type": "swap", "size": "64M"},
            ],
        }
    ],
    "abUpdate": {"volumePairs": [{"id": "root", "volumeAId": "root-a", "volumeBId": "root-b"}]},
    "filesystems": [
        {"deviceId": "esp", "mountPoint": {"path": "/boot/efi", "options": "umask=0077"}},
        {"deviceId": "root", "mountPoint": "/"},
        {"deviceId": "trident", "mountPoint": "/var/lib/trident"},
        {"deviceId": "data", "source": "new", "type": "ext4", "mountPoint": "/srv"},
    ],
    "swap": ["swap"],
}
_OS = {
    "hostname": "installed",
    "users": [{"name": "ops", "sshMode": "key-only", "sshPublicKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA ops"]}],
    "additionalFiles": [{"destination": "/etc/installed", "content": "yes", "permissions": "0640"}],
    "kernelCommandLine": {"extraCommandLine": ["installed.by=trident"]},
}


def test_a_blank_disk_becomes_a_provisioned_machine(images: Images, tmp_path: Path) -> None:
    disk, variables = tmp_path / "machine.raw", tmp_path / "variables.fd"
    with disk.open("wb") as file:
        file.truncate(8 << 30)
    with serving(images.first) as server:
        image = {"url": url_for_guest(server), "sha384": images.first.sha384}
        installer = build_installer(tmp_path, {"image": image, "storage": _STORAGE, "os": _OS})
        options = installer.options(variables)
        with Machine(disk, "raw", options, log_file=tmp_path / "installer.log") as machine:
            machine.wait_off(1800)
    machine_ = Serviced(tmp_path, disk, variables)
    with machine_.switched_on(login=False) as running:
        await_start(running)
        console = running.console
        console.run("systemctl is-system-running --wait", timeout=300)
        found = status(console)
        assert (found["servicingState"], found["abActiveVolume"]) == ("provisioned", "volume-a")
        assert version(console) == "1"
        assert console.check("hostname").strip() == "installed"
        assert console.check("stat -c '%a %U' /etc/installed").strip() == "640 root"
        assert "installed.by=trident" in console.check("cat /proc/cmdline").split()
        assert console.check("swapon --noheadings --show=NAME").strip() != ""
        mounts = console.check("findmnt --fstab --noheadings --output TARGET,FSTYPE --raw").splitlines()
        assert "trident-CleanInstallFinalized-" in console.check("ls /var/lib/trident")
        assert mounts == ["/boot/efi vfat", "/ ext4", "/var/lib/trident ext4", "/srv ext4", "none swap"]
        console.check("test -s /home/ops/.ssh/authorized_keys")
        assert console.check("systemctl is-system-running").strip() == "running"
        assert "AZLA" in console.check("efibootmgr")
        switch_off(running)
