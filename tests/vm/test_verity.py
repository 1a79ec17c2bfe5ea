"""Machines whose root or /usr dm-verity protects: installed, updated and updated back, and what does not get there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.vm.installer import build_installer
from tests.vm.servicing import (
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
from tests.vm.uki_images import unified
from tests.vm.verity_images import VerityBuilder, protect

from twinroot.formats.cosi.reader import open_cosi
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.soak, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(5400)]

CONFIGURATION = "/run/update.yaml"  # /etc cannot be written
UPDATE = f"trident update {CONFIGURATION}"


@dataclass(frozen=True)
class Layout:
    """Pairs by their names, with types and sizes, and what is mounted from them; `protected` is `root` or `usr`."""

    protected: str
    pairs: dict[str, tuple[str, str]]
    mounts: dict[str, str]

    @property
    def mount_point(self) -> str:
        """Where what is protected is mounted."""
        return self.mounts["protected"]

    def storage(self) -> dict[str, object]:
        """The storage section of a machine."""
        partitions = [{"id": "esp", "type": "esp", "size": "256M"}]
        for half in "ab":
            partitions += [{"id": f"{name}-{half}", "type": t, "size": size} for name, (t, size) in self.pairs.items()]
        partitions.append({"id": "trident", "type": "linux-generic", "size": "64M"})
        filesystems: list[dict[str, object]] = [
            {"deviceId": "esp", "mountPoint": {"path": "/boot/efi", "options": "umask=0077"}}
        ]
        for name, path in {**self.mounts, "trident": "/var/lib/trident"}.items():
            options = "defaults,ro" if name == "protected" else "defaults"
            filesystems.append({"deviceId": name, "mountPoint": {"path": path, "options": options}})
        if self.protected == "root":
            filesystems.append({"source": "new", "type": "tmpfs", "mountPoint": "/tmp"})
        verity = {"id": "protected", "name": self.protected, "dataDeviceId": self.protected, "hashDeviceId": "hashes"}
        disk = {"id": "os", "device": "/dev/vda", "partitionTableType": "gpt", "partitions": partitions}
        pairs = [{"id": name, "volumeAId": f"{name}-a", "volumeBId": f"{name}-b"} for name in self.pairs]
        return {
            "disks": [disk],
            "abUpdate": {"volumePairs": pairs},
            "verity": [{**verity, "corruptionOption": "restart"}],
            "filesystems": filesystems,
        }


_ROOT = Layout(
    "root",
    {"boot": ("xbootldr", "256M"), "root": ("root", "2G"), "hashes": ("root-verity", "64M"), "var": ("var", "512M")},
    {"boot": "/boot", "protected": "/", "var": "/var"},
)
_USR = Layout(
    "usr",
    {"root": ("root", "1G"), "usr": ("usr", "2G"), "hashes": ("usr-verity", "64M")},
    {"root": "/", "protected": "/usr"},
)
_OS = {
    "hostname": "sealed",
    "additionalFiles": [{"destination": "/etc/installed", "content": "yes"}],
    "kernelCommandLine": {"extraCommandLine": ["installed.by=trident"]},
}


_ON_VAR = {"additionalFiles": [{"destination": "/var/installed", "content": "yes"}]}
_ESP = "find /boot/efi -type f | sort | xargs sha256sum"


def root_hash(image: Image) -> str:
    """The root hash that an image says."""
    with open_cosi(image.path) as cosi:
        return next(each.verity.roothash for each in cosi.metadata.images if each.verity)


def check(console: Console, layout: Layout, image: Image, half: str, hostname: str = "sealed") -> None:
    """The machine runs an image, on a half, verified."""
    name = layout.protected
    found = settled(console)
    assert console.check("systemctl is-system-running").strip() == "running"
    assert about(found) == ("provisioned", f"volume-{half}")
    assert "lastError" not in found
    assert version(console) == image.version
    assert console.check(f"findmnt --noheadings --output SOURCE {layout.mount_point}").strip() == f"/dev/mapper/{name}"
    opened = console.check(f"veritysetup status {name}")
    assert "status:      verified" in opened and "restart_on_corruption" in opened
    assert root_hash(image) in opened
    assert console.check("hostname").strip() == hostname
    assert console.run(f"touch {layout.mount_point}/written").code != 0
    assert console.check("dmsetup ls").split()[0::2] == [name]


def test_a_root_installed_and_updated_there_and_back(tmp_path: Path) -> None:
    builder = VerityBuilder(tmp_path / "images", "root")
    images = Images(builder.image("1"), builder.image("2"))
    machine = install(_ROOT, images.first, tmp_path)
    with machine.switched_on(login=False) as running:
        await_start(running)
        console = running.console
        check(console, _ROOT, images.first, "a")
        assert console.check("findmnt --noheadings --output FSTYPE /etc").strip() == "overlay"
        assert console.check("cat /etc/installed").strip() == "yes"
        assert "installed.by=trident" in console.check("cat /proc/cmdline").split()
        machine_id = console.check("cat /etc/machine-id").strip()
        assert len(machine_id) == 32

        refuse_a_wrong_root_hash(console, images.second, tmp_path)
        leave_it_open(console, images.second)
        with serving(images.second) as server:
            write_file(console, CONFIGURATION, host_configuration(server, images.second))
            begin_and_await(running, UPDATE)
        check(console, _ROOT, images.second, "b")
        assert console.check("cat /etc/machine-id").strip() == machine_id

        with serving(images.first) as server:
            write_file(console, CONFIGURATION, host_configuration(server, images.first))
            begin_and_await(running, UPDATE)
        check(console, _ROOT, images.first, "a")

        begin_and_await(running, "trident rollback")
        check(console, _ROOT, images.second, "b")
        switch_off(running)


def test_a_usr_installed_and_updated_there_and_back(tmp_path: Path) -> None:
    builder = VerityBuilder(tmp_path / "images", "usr")
    images = Images(builder.image("1"), builder.image("2"))
    machine = install(_USR, images.first, tmp_path)
    with machine.switched_on(login=False) as running:
        await_start(running)
        console = running.console
        check(console, _USR, images.first, "a")
        assert console.check("cat /etc/installed").strip() == "yes"
        assert "installed.by=trident" in console.check("cat /proc/cmdline").split()

        with serving(images.second) as server:
            write_file(console, CONFIGURATION, host_configuration(server, images.second))
            begin_and_await(running, UPDATE)
        check(console, _USR, images.second, "b")

        begin_and_await(running, "trident rollback")
        check(console, _USR, images.first, "a")
        switch_off(running)


@pytest.mark.parametrize("layout", [_ROOT, _USR], ids=["root", "usr"])
def test_one_that_a_unified_kernel_starts(layout: Layout, tmp_path: Path) -> None:
    builder = VerityBuilder(tmp_path / "images", layout.protected, kernel=True)
    images = Images(builder.image("1"), builder.image("2"))
    # A root that is part of the kernel's promise keeps the name that its image gave it.
    system, hostname = (_ON_VAR, "testimage") if layout is _ROOT else (_OS, "sealed")
    machine = install(layout, images.first, tmp_path, system)
    with machine.switched_on(login=False) as running:
        await_start(running)
        console = running.console
        check(console, layout, images.first, "a", hostname)
        assert console.check("cat /var/installed /etc/installed 2> /dev/null || true").strip() == "yes"

        with serving(images.second) as server:
            write_file(console, CONFIGURATION, host_configuration(server, images.second))
            begin_and_await(running, UPDATE)
        check(console, layout, images.second, "b", hostname)

        begin_and_await(running, "trident rollback")
        check(console, layout, images.first, "a", hostname)

        refuse_one_that_looks_elsewhere(console, images.second, tmp_path)
        switch_off(running)


def refuse_one_that_looks_elsewhere(console: Console, image: Image, place: Path) -> None:
    """An image whose kernel names partitions by labels that are those of one half only is written and not started."""
    with open_cosi(image.path) as cosi:
        found = next(each for each in cosi.metadata.images if each.verity)
    name = "root" if found.mount_point == "/" else "usr"
    (place / "elsewhere").mkdir()
    label = f"systemd.verity_{name}_data=PARTLABEL={name}-a"
    wrong = unified(image, place / "elsewhere", "wrong", label)
    before = console.check(_ESP)
    with serving(wrong) as server:
        write_file(console, CONFIGURATION, host_configuration(server, wrong))
        done = console.run(f"{UPDATE} -v warn", timeout=UPDATE_TIMEOUT)
    assert done.code == 2
    assert f"looks for PARTLABEL={name}-a, which is not {name} on this machine" in done.output
    assert about(status(console)) == ("provisioned", "volume-a")
    # What could start the half that was written is gone; nothing else changed.
    assert set(console.check(_ESP).splitlines()) <= set(before.splitlines())


def install(layout: Layout, image: Image, place: Path, system: Mapping[str, object] = _OS) -> Serviced:
    """A machine that an installer has written an image onto, and switched off. `system` is its section `os`."""
    disk, variables = place / "machine.raw", place / "variables.fd"
    with disk.open("wb") as file:
        file.truncate(7 << 30)
    with serving(image) as server:
        source = {"url": url_for_guest(server), "sha384": image.sha384}
        installer = build_installer(place, {"image": source, "storage": layout.storage(), "os": system})
        with Machine(disk, "raw", installer.options(variables), log_file=place / "installer.log") as machine:
            machine.wait_off(UPDATE_TIMEOUT)
    return Serviced(place, disk, variables)


def refuse_a_wrong_root_hash(console: Console, image: Image, place: Path) -> None:
    """An image whose root hash is not that of its data is written and not started; nothing of it stays open."""
    wrong = Image(place / "wrong.cosi", "wrong", "ignored")
    protect(image.path, wrong.path, "/", place / "scratch", root_hash="0123456789abcdef" * 4)
    with serving(wrong) as server:
        write_file(console, CONFIGURATION, host_configuration(server, wrong))
        done = console.run(f"{UPDATE} -v warn", timeout=UPDATE_TIMEOUT)
    assert done.code == 2
    assert "is not that of its data" in done.output
    found = status(console)
    assert about(found) == ("provisioned", "volume-a")
    error = found["lastError"]
    assert isinstance(error, dict) and error["error"] == "create-verity"
    assert "AZLB" not in console.check("efibootmgr") and console.run("ls /boot/efi/EFI/AZLB").code != 0
    assert console.run("ls /dev/mapper/root_new").code != 0


def leave_it_open(console: Console, image: Image) -> None:
    """As a run that was killed leaves it: the new root open and mounted. Its devices hold an image already."""
    paths = status(console)["partitionPaths"]
    assert isinstance(paths, dict)
    console.check(f"veritysetup open {paths['root-b']} root_new {paths['hashes-b']} {root_hash(image)}")
    place = "/var/lib/trident-overlay/newroot"
    console.check(f"mkdir -p {place} && mount -o ro /dev/mapper/root_new {place}")
