"""Sections of `os` on the real base images: the examples of the documentation, carried out and looked at."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.images import REPOSITORY, RPMS
from tests.images.workplace import Workplace
from twinroot import __version__
from twinroot.base.facts import BaseFacts, read_facts
from twinroot.base.image import open_raw, probe

pytestmark = pytest.mark.images

ONLY_SOURCES = ("--rpm-source", RPMS, "--disable-base-image-rpm-repos")
GRUB = {"rpm": "/boot/grub2", "deb": "/boot/grub"}


def example(page: str) -> str:
    """The first configuration of a page of the documentation."""
    found = re.search(r"^```yaml\n(.*?)^```$", (REPOSITORY / "docs" / page).read_text(), re.M | re.S)
    assert found, page
    return found[1]


@pytest.fixture(scope="session")
def bases(rpm_base: Path, deb_base: Path) -> dict[str, Path]:
    """Both bases by the kind of their packages."""
    return {"rpm": rpm_base, "deb": deb_base}


@dataclass(frozen=True)
class Image:
    """A finished image, read without mounting it."""

    path: Path

    @property
    @cache  # noqa: B019  # as short-lived as the test
    def facts(self) -> BaseFacts:
        return read_facts(open_raw(probe(self.path), self.path.parent), str(self.path))

    def text(self, path: str) -> str:
        data = self.facts.read(path)
        assert data is not None, path
        return data.decode()

    def names(self, path: str) -> list[str]:
        return self.facts.list(path)

    def label(self, path: str) -> str:
        """The SELinux label of a path in the root file system; empty when it has none."""
        offset = self.facts.locate("/")[0].offset
        argv = ["debugfs", "-R", f"ea_get -V {path} security.selinux", f"{self.path}?offset={offset}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, env=host())
        return done.stdout.strip("\0\n")

    def arguments(self, kind: str) -> list[list[str]]:
        """The arguments of every kernel, rescue entries last."""
        lines = self.text(f"{GRUB[kind]}/grub.cfg").splitlines()
        return [line.split()[2:] for line in lines if line.strip().startswith("linux")]


def another(place: Workplace) -> Workplace:
    """A place for one more run, whose base is an output of the first."""
    root = Path(tempfile.mkdtemp(dir=place.root.parent))
    return Workplace(root)


def host() -> dict[str, str]:
    return os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.mark.parametrize("kind", ["rpm", "deb"])
def test_modules_and_kernel_arguments(kind: str, bases: dict[str, Path], place: Workplace) -> None:
    config = example("how-to/kernel-modules.md")
    config += example("how-to/kernel-command-line.md").removeprefix("os:\n")
    image = Image(place.succeeds(bases[kind], config))
    assert image.text("/etc/modules-load.d/modules-load.conf") == "nbd\n"
    assert image.text("/etc/modprobe.d/modules-disabled.conf") == "blacklist floppy\n"
    assert image.text("/etc/modprobe.d/module-options.conf") == "options nbd nbds_max=4\n"
    usual, *_, rescue = image.arguments(kind)
    tail = ["$kernelopts"] if kind == "rpm" else []
    assert usual[-3 - len(tail) :] == ["rd.info", 'name="two', 'words"', *tail]
    assert "rd.info" not in rescue
    again = "os: {modules: [{name: floppy, options: {a: 1}}]}"
    second = another(place)
    second.fails(image.path, again, says=["os.modules", "'floppy' is disabled in the image"])


@pytest.mark.parametrize("kind", ["rpm", "deb"])
def test_overlays(kind: str, bases: dict[str, Path], place: Workplace) -> None:
    image = Image(place.succeeds(bases[kind], example("how-to/overlays.md")))
    *_, var, last = image.text("/etc/fstab").splitlines()
    assert var.split()[1:4] == ["/var", "ext4", "defaults,x-initrd.mount"]
    assert last == (
        "overlay /etc overlay lowerdir=/sysroot/etc,upperdir=/sysroot/var/overlays/etc/upper,"
        "workdir=/sysroot/var/overlays/etc/work,x-systemd.requires=/sysroot/var,x-initrd.mount,"
        "x-systemd.wanted-by=initrd-fs.target 0 0"
    )
    assert image.names("/var/overlays/etc") == ["upper", "work"]
    initramfs = [name for name in image.names("/boot") if name.startswith(("initrd", "initramfs"))]
    files = _in_initramfs(image.facts.read(f"/boot/{initramfs[0]}") or b"")
    assert b"/overlay.ko" in files
    assert (b"scripts/init-bottom/twinroot-initrd-mounts" in files) is (kind == "deb")
    second = another(place)
    config = "os:" + example("how-to/overlays.md").split("\nos:")[1].replace(
        "bootloader:\n    resetType: hard-reset", ""
    )
    again = Image(second.succeeds(image.path, config))
    assert again.text("/etc/fstab") == image.text("/etc/fstab")


def _in_initramfs(data: bytes) -> bytes:
    """The bytes of every archive of an initramfs, unpacked: names of files can be found in them."""
    found = b""
    for magic, program in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b\x08", "gzip")):
        start = data.find(magic)
        if start >= 0:
            done = subprocess.run([program, "-dcq"], input=data[start:], capture_output=True, check=False, env=host())
            found += done.stdout
    return found


def test_an_overlay_of_the_initramfs_needs_early_mounts(bases: dict[str, Path], place: Workplace) -> None:
    config = example("how-to/overlays.md").replace("defaults,x-initrd.mount", "defaults")
    place.fails(bases["rpm"], config, says=["os.overlays", "depends on /var", "add x-initrd.mount"])


def test_selinux(bases: dict[str, Path], place: Workplace) -> None:
    """With an overlay and a hard reset, which keeps the mode; a second run relabels without being asked to."""
    overlay = "  overlays: [{mountPoint: /srv, lowerDirs: [/srv], upperDir: /var/o/u, workDir: /var/o/w}]\n"
    image = Image(place.succeeds(bases["rpm"], example("how-to/selinux.md") + overlay, *ONLY_SOURCES))
    assert image.label("/etc/shadow") == "system_u:object_r:shadow_t:s0"
    assert image.label("/usr/bin/bash") == "system_u:object_r:shell_exec_t:s0"
    assert image.label("/var/o/u") == image.label("/srv") != ""
    assert image.label("/var/o/w") == "system_u:object_r:no_access_t:s0"
    # The ESP itself has no labels, the directory it is mounted on has one.
    paths = ("/", "/lost+found", "/boot/efi", "/dev", "/etc/fstab", "/bin", "/usr/share/image-customizer/history.json")
    assert [path for path in paths if not image.label(path)] == []
    assert "SELINUX=enforcing\n" in image.text("/etc/selinux/config")
    assert all({"security=selinux", "selinux=1"} <= set(line) for line in image.arguments("rpm"))
    second = another(place)
    again = Image(second.succeeds(image.path, "os: {hostname: again, bootloader: {resetType: hard-reset}}"))
    assert again.label("/etc/hostname") == image.label("/etc/hostname") != ""
    assert all({"security=selinux", "selinux=1"} <= set(line) for line in again.arguments("rpm"))
    third = another(place)
    off = Image(third.succeeds(again.path, "os: {selinux: {mode: disabled}}"))
    assert all("selinux=0" in line and "selinux=1" not in line for line in off.arguments("rpm"))
    assert "SELINUX=disabled\n" in off.text("/etc/selinux/config")


@pytest.mark.parametrize(("kind", "package"), [("rpm", "selinux-policy and"), ("deb", "selinux-policy-default and")])
def test_selinux_without_a_policy(kind: str, package: str, bases: dict[str, Path], place: Workplace) -> None:
    config = "os: {selinux: {mode: enforcing}}"
    place.fails(bases[kind], config, says=["the image has no SELinux policy", f"add {package} policycoreutils"])


@pytest.mark.parametrize(
    ("kind", "gone", "kept"),
    [
        (
            "rpm",
            {"/usr/bin": ["rpm", "dnf-3"], "/var/lib": ["rpm", "dnf"], "/var/cache": ["dnf"]},
            ("/usr/bin", "bash"),
        ),
        ("deb", {"/usr/bin": ["apt", "apt-get"], "/var/lib": ["apt"], "/var/cache": ["apt"]}, ("/usr/bin", "dpkg")),
    ],
)
def test_without_package_manager(
    kind: str, gone: dict[str, list[str]], kept: tuple[str, str], bases: dict[str, Path], place: Workplace
) -> None:
    config = example("how-to/remove-the-package-manager.md")
    image = Image(place.succeeds(bases[kind], config))
    for directory, names in gone.items():
        assert not set(names) & set(image.names(directory)), directory
    assert kept[1] in image.names(kept[0])
    second = another(place)
    second.succeeds(image.path, config)
    third = another(place)
    third.fails(bases[kind], config, says=["removePackageManager", "output format cosi"], output_format="cosi")


@pytest.mark.parametrize(("kind", "program"), [("rpm", "dnf"), ("deb", "apt-get")])
def test_no_snapshot_without_tdnf(kind: str, program: str, bases: dict[str, Path], place: Workplace) -> None:
    config = "previewFeatures: [package-snapshot-time]\nos: {packages: {snapshotTime: 2025-01-01}}"
    place.fails(bases[kind], config, says=["os.packages.snapshotTime", program, "only tdnf can"])


@pytest.mark.parametrize("kind", ["rpm", "deb"])
def test_history(kind: str, bases: dict[str, Path], place: Workplace) -> None:
    done = place.run(bases[kind], "os: {hostname: first}", env={"SOURCE_DATE_EPOCH": "1700000000"})
    assert done.code == 0, done.stderr
    first = Image(place.out / "image")
    release = dict(line.split("=") for line in first.text("/etc/image-customizer-release").splitlines() if line)
    assert release["TOOL_VERSION"] == f'"{__version__}"' and release["BUILD_DATE"] == '"2023-11-14T22:13:20Z"'
    [entry] = json.loads(first.text("/usr/share/image-customizer/history.json"))
    assert entry["config"] == {"os": {"hostname": "first"}}
    assert (entry["timestamp"], entry["imageUuid"]) == ("2023-11-14T22:13:20Z", release["IMAGE_UUID"].strip('"'))
    second = another(place)
    image = Image(second.succeeds(first.path, "os: {hostname: second}"))
    assert len(json.loads(image.text("/usr/share/image-customizer/history.json"))) == 2
    third = another(place)
    none = Image(third.succeeds(bases[kind], example("reference/image-history.md")))
    assert none.names("/usr/share/image-customizer") == []
    assert "IMAGE_UUID" in none.text("/etc/image-customizer-release")
