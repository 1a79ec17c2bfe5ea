"""Machines whose root dm-verity protects: installed, updated and updated back, and what does not get onto them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.vm.installer import build_installer
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    UPDATE_TIMEOUT,
    Image,
    Images,
    Serviced,
    about,
    await_start,
    begin_and_await,
    host_configuration,
    serving,
    settled,
    status,
    switch_off,
    url_for_guest,
    version,
    write_file,
)
from tests.vm.verity_images import VerityBuilder, protect

from twinroot.formats.cosi.reader import open_cosi
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(5400)]

_PAIRS = {
    "boot": ("xbootldr", "256M"),
    "root": ("root", "2G"),
    "hashes": ("root-verity", "64M"),
    "var": ("var", "512M"),
}
_STORAGE = {
    "disks": [
        {
            "id": "os",
            "device": "/dev/vda",
            "partitionTableType": "gpt",
            "partitions": [
                {"id": "esp", "type": "esp", "size": "64M"},
                *(
                    {"id": f"{name}-{half}", "type": kind, "size": size}
                    for half in "ab"
                    for name, (kind, size) in _PAIRS.items()
                ),
                {"id": "trident", "type": "linux-generic", "size": "64M"},
            ],
        }
    ],
    "abUpdate": {"volumePairs": [{"id": name, "volumeAId": f"{name}-a", "volumeBId": f"{name}-b"} for name in _PAIRS]},
    "verity": [
        {
            "id": "protected",
            "name": "root",
            "dataDeviceId": "root",
            "hashDeviceId": "hashes",
            "corruptionOption": "restart",
        }
    ],
    "filesystems": [
        {"deviceId": "esp", "mountPoint": {"path": "/boot/efi", "options": "umask=0077"}},
        {"deviceId": "boot", "mountPoint": "/boot"},
        {"deviceId": "protected", "mountPoint": {"path": "/", "options": "defaults,ro"}},
        {"deviceId": "var", "mountPoint": "/var"},
        {"deviceId": "trident", "mountPoint": "/var/lib/trident"},
    ],
}
_OS = {
    "hostname": "sealed",
    "additionalFiles": [{"destination": "/etc/installed", "content": "yes"}],
    "kernelCommandLine": {"extraCommandLine": ["installed.by=trident"]},
}


def root_hash(image: Image) -> str:
    """The root hash that an image says."""
    with open_cosi(image.path) as cosi:
        return next(each.verity.roothash for each in cosi.metadata.images if each.verity)


def check(console: Console, image: Image, half: str) -> None:
    """The machine runs an image, on a half, verified."""
    found = settled(console)
    assert about(found) == ("provisioned", f"volume-{half}")
    assert "lastError" not in found
    assert version(console) == image.version
    assert console.check("findmnt --noheadings --output SOURCE,OPTIONS /").split()[0] == "/dev/mapper/root"
    opened = console.check("veritysetup status root")
    assert "status:      verified" in opened and "restart_on_corruption" in opened
    assert root_hash(image) in opened
    assert console.check("findmnt --noheadings --output FSTYPE /etc").strip() == "overlay"
    assert console.check("hostname").strip() == "sealed"
    assert console.run("touch /written").code != 0
    names = json.loads(console.check("lsblk --json --paths --output NAME,TYPE"))
    assert "_new" not in json.dumps(names)


def test_installed_and_updated_there_and_back(tmp_path: Path) -> None:
    builder = VerityBuilder(tmp_path / "images", "root")
    images = Images(builder.image("1"), builder.image("2"))
    machine = install(images.first, tmp_path)
    with machine.switched_on(login=False) as running:
        await_start(running)
        console = running.console
        check(console, images.first, "a")
        assert console.check("cat /etc/installed").strip() == "yes"
        assert "installed.by=trident" in console.check("cat /proc/cmdline").split()
        machine_id = console.check("cat /etc/machine-id").strip()
        assert len(machine_id) == 32

        refuse_a_wrong_root_hash(console, images.second, tmp_path)

        with serving(images.second) as server:
            write_file(console, HOST_CONFIGURATION, host_configuration(server, images.second))
            begin_and_await(running, "trident update")
        check(console, images.second, "b")
        assert console.check("cat /etc/machine-id").strip() == machine_id

        with serving(images.first) as server:
            write_file(console, HOST_CONFIGURATION, host_configuration(server, images.first))
            begin_and_await(running, "trident update")
        check(console, images.first, "a")

        begin_and_await(running, "trident rollback")
        check(console, images.second, "b")
        switch_off(running)


def install(image: Image, place: Path) -> Serviced:
    """A machine that an installer has written an image onto, and switched off."""
    disk, variables = place / "machine.raw", place / "variables.fd"
    with disk.open("wb") as file:
        file.truncate(7 << 30)
    with serving(image) as server:
        source = {"url": url_for_guest(server), "sha384": image.sha384}
        installer = build_installer(place, {"image": source, "storage": _STORAGE, "os": _OS})
        with Machine(disk, "raw", installer.options(variables), log_file=place / "installer.log") as machine:
            machine.wait_off(UPDATE_TIMEOUT)
    return Serviced(place, disk, variables)


def refuse_a_wrong_root_hash(console: Console, image: Image, place: Path) -> None:
    """An image whose root hash is not that of its data is written and not started; nothing of it stays open."""
    wrong = Image(place / "wrong.cosi", "wrong", "ignored")
    protect(image.path, wrong.path, "/", place / "scratch", root_hash="0123456789abcdef" * 4)
    with serving(wrong) as server:
        write_file(console, HOST_CONFIGURATION, host_configuration(server, wrong))
        done = console.run("trident -v warn update", timeout=UPDATE_TIMEOUT)
    assert done.code == 2
    assert "is not that of its data" in done.output
    found = status(console)
    assert about(found) == ("provisioned", "volume-a")
    error = found["lastError"]
    assert isinstance(error, dict) and error["error"] == "create-verity"
    assert "AZLB" not in console.check("efibootmgr") and console.run("ls /boot/efi/EFI/AZLB").code != 0
    assert console.run("ls /dev/mapper/root_new").code != 0
