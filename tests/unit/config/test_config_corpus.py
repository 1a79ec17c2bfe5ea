"""Configurations as Image Customizer's own tests use them: which are right, and what they come to.

The texts are in `corpus/`, several files in one: a line `--- # name` begins each. They are our own; each has the keys
and relations of the file of Image Customizer that it is named after. Several of those fail only at run time, such as
`no-kernel-config`, `partitions-bad-types` and `infinite-file-config`: the configuration is right.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from twinroot.config.load import load_image_config
from twinroot.errors import ConfigError
from twinroot.units import MIB

SEPARATOR = re.compile(r"^--- # (\S+)\n", re.MULTILINE)


def read_corpus() -> dict[str, str]:
    """The text of every file by its name."""
    parts = [SEPARATOR.split(file.read_text()) for file in sorted((Path(__file__).parent / "corpus").iterdir())]
    pairs = [pair for each in parts for pair in zip(each[1::2], each[2::2], strict=True)]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


TEXTS = read_corpus()

REQUIRED_BY_OTHERS = {
    # what Image Customizer's files build upon or name, and what is not among them
    "artifacts-output-verity-amd64-azl4.yaml",
    "create-fedora-amd64-packages.yaml",
    "create-fedora-noarch-packages.yaml",
    "hierarchical-config-base.yaml",
    "lists/editors.yaml",
    "lists/kernels.yaml",
    "lists/small.yaml",
    "toolsdir-azl4.yaml",
    "verity-reinit-usr-uki-noreset.yaml",
    "verity-root-azl4.yaml",
    "verity-root-uki-base.yaml",
}

ALONE: list[tuple[str, str, object]] = [
    # file, a key, its value
    ("add-user-files", "os.additionalFiles.0.content", "Bring the ladder back"),
    ("adddirs-config", "os.additionalDirs.0.source", "trees/north"),
    ("artifacts-output-base", "output.artifacts.items", ["shim", "bootloader", "ukis"]),
    ("artifacts-output-verity-base", "storage.verity.0.hashSignaturePath", "/boot/keys/system.sig"),
    ("azurelinux-base-image", "input.image.azureLinux", {"variant": "core-efi", "version": "3.0"}),
    ("cloud-init-config", "os.kernelCommandLine.extraCommandLine", ["ds=none"]),
    ("commandline-config", "os.kernelCommandLine.extraCommandLine", ["loglevel=4", "mitigations=auto"]),
    ("consume-space", "scripts.finalizeCustomization.0.path", "steps/fill.sh"),
    ("create-base", "storage.filesystems.1.type", "ext4"),
    ("create-btrfs-base", "storage.filesystems.1.type", "btrfs"),
    ("distro-version-new", "scripts.postCustomization.0.content", "printf 'VERSION_ID=%s\\n' 4711 > /etc/os-release\n"),
    ("distro-version-preview-feature", "os", None),
    ("extracommandline-config", "os.kernelCommandLine.extraCommandLine", ["panic=10", "quiet"]),
    ("fstab-delete", "os", None),
    ("hierarchical-config-base-azl4", "os.imageHistory", "none"),
    ("hostname-config", "os.hostname", "buoy"),
    ("imagehistory-config", "os.additionalFiles.2", {"destination": "/three", "content": "3\n"}),
    ("infinite-file-config", "os.additionalFiles.0.source", "/dev/urandom"),
    ("install-package-disk-space-amd64-azl4", "os.packages.install", ["llvm-static"]),
    ("install-package-disk-space-arm64-azl3", "os.packages.install", ["llvm-static"]),
    ("iso-bootstrap-vm-azl2", "iso.initramfsType", "bootstrap"),
    ("iso-bootstrap-vm-azl3", "iso.initramfsType", "bootstrap"),
    ("iso-full-os-vm-azl3", "iso.initramfsType", "full-os"),
    ("iso-full-os-vm-azl4", "iso.initramfsType", "full-os"),
    ("legacyboot-config-base", "storage.disks.0.partitions.0.type", "bios-grub"),
    ("legacyboot-reset", "os.bootloader.resetType", "hard-reset"),
    ("legacyboot-reset-fallback", "os.bootloader.resetType", "hard-reset"),
    ("mshvkernel-config", "os.packages.remove", ["kernel-hci"]),
    ("multikernel-base", "storage.filesystems.1.mountPoint.path", "/"),
    ("no-kernel-config", "os.packages.remove", ["kernel-hci"]),
    ("no-kernel-config-azl4", "os.packages.remove", ["kernel-modules-core"]),
    ("oci-base-image", "input.image.oci.uri", "registry.example:5000/linux/small@sha256:" + "0123456789abcdef" * 4),
    ("oci-preview-feature", "previewFeatures", ["input-image-oci"]),
    ("os-vm-config-azl4", "previewFeatures", ["preview-distro-version"]),
    ("osmodifier-vm-config-azl4", "os.packages.install", ["audit", "libselinux"]),
    ("overlays-config", "os.overlays.0.isInitrdOverlay", True),
    ("overlays-selinux-azl4", "os.overlays.0.mountPoint", "/srv"),
    ("packages-add-config-azl4", "os.packages.installLists", ["lists/editors.yaml"]),
    ("packages-add-large", "os.packages.install.3", "nano"),
    ("packages-add-oras", "os.packages.install", ["skopeo"]),
    ("packages-remove-config", "os.packages.remove", ["rsyslog"]),
    ("packages-update-config-azl4", "os.packages.update", ["strace"]),
    ("packages-update-existing-config", "os.packages.updateExistingPackages", True),
    ("partitions-bad-types", "storage.disks.0.partitions.1.type", "root"),
    ("partitions-btrfs-subvolumes-basic", "storage.filesystems.1.btrfs.subvolumes.0.mountPoint.path", "/"),
    ("partitions-btrfs-subvolumes-nested", "storage.filesystems.1.btrfs.subvolumes.3.quota.exclusiveLimit", 80 * MIB),
    ("partitions-config", "storage.disks.0.partitions.3.type", "933ac7e1-2eb4-4f13-b844-0e14e2aef915"),
    ("partitions-selinux-enforcing-base", "storage.filesystems.0.type", "vfat"),
    ("partitions-size-only-config", "storage.disks.0.partitions.2.type", "linux-generic"),
    ("partitions-xfs-boot", "storage.filesystems.1.type", "xfs"),
    ("pxe-bootstrap-vm-azl3", "pxe.initramfsType", "bootstrap"),
    ("pxe-full-os-vm-azl3", "pxe.initramfsType", "full-os"),
    ("pxe-full-os-vm-azl4", "pxe.initramfsType", "full-os"),
    ("run-python-scripts-config", "scripts.postCustomization.1.arguments", ["2", "3.0"]),
    ("runscripts-config", "scripts.postCustomization.0.environmentVariables", {"colour": "green", "shape": "round"}),
    ("runscripts-writefiles-config", "scripts.postCustomization.1.environmentVariables.SEA", "grey seal"),
    ("selinux-disabled", "os.selinux.mode", "disabled"),
    ("selinux-enforcing", "os.selinux.mode", "enforcing"),
    ("selinux-force-enforcing-azl3", "os.selinux.mode", "force-enforcing"),
    ("selinux-permissive-azl3", "os.selinux.mode", "permissive"),
    ("selinux-permissive-azl4", "os.selinux.mode", "permissive"),
    ("selinux-policy-output", "output.selinuxPolicyPath", "results/policy"),
    ("services-config", "os.services", {"enable": ["chronyd"], "disable": ["systemd-resolved"]}),
    ("toolsdir-azl3", "os.packages.remove", ["dnf", "librpm"]),
    ("uki-noreset-base", "os.uki.mode", "create"),
    ("user-group-new-gid", "os.groups.0.gid", 210),
    ("user-group-root-gid", "os.groups.0.gid", 77),
    ("users-config", "os.users.0.secondaryGroups", ["adm"]),
    ("verity-2stage-enable", "storage.verity.0.dataDevice", {"idType": "part-label", "id": "programs"}),
    ("verity-2stage-prepare", "storage.disks.0.partitions.2.label", "programs-hashes"),
    ("verity-btrfs-root-subvolume", "storage.filesystems.2.btrfs.subvolumes.0.mountPoint.options", "ro"),
    ("verity-reinit", "storage.reinitializeVerity", "all"),
    ("verity-reinit-bootloader-reset", "storage.reinitializeVerity", "all"),
    ("verity-reinit-usr-nop", "os.uki.mode", "passthrough"),
    ("verity-reinit-usr-uki", "os.uki.mode", "create"),
    ("verity-reinit-usr-uki-noreset-multikernel-base", "storage.reinitializeVerity", "all"),
    ("verity-root-base", "storage.verity.0.corruptionOption", "panic"),
    ("verity-root-inline-uki-base", "storage.verity.0.hashDeviceId", "system"),
    ("verity-root-part-labels-base", "storage.verity.0.dataDeviceMountIdType", "part-label"),
    ("verity-usr-config", "storage.verity.0.corruptionOption", "io-error"),
    ("verity-usr-inline-uki-base", "storage.verity.0.hashDeviceId", "programs"),
    ("verity-usr-uki-base", "storage.filesystems.2.mountPoint.options", "nosuid"),
    ("verity-usr-uki-passthrough", "storage.reinitializeVerity", "none"),
]

X64, AA64 = (f"rpm --erase --nodeps grub2-tools-{name}\n" for name in ("x64", "aa64"))
SCRIPT = "scripts.postCustomization.0.content"
INSTALL, REMOVE, MODE = "os.packages.install", "os.packages.remove", "os.selinux.mode"
ARGUMENTS = "os.kernelCommandLine.extraCommandLine"

UPON_OTHERS: list[tuple[str, str, str, object]] = [
    # file, what it builds upon, a key, its value in all together
    ("artifacts-output-amd64-azl4", "artifacts-output-base", SCRIPT, X64),
    ("artifacts-output-arm64-azl4", "artifacts-output-base", SCRIPT, AA64),
    ("artifacts-output-verity-amd64-azl4-toolsdir",
     "artifacts-output-verity-base artifacts-output-verity-amd64-azl4 toolsdir-azl4", REMOVE, ["dnf5"]),
    ("artifacts-output-verity-arm64-azl4", "artifacts-output-verity-base", SCRIPT, AA64),
    ("artifacts-output-verity-arm64-azl4-toolsdir",
     "artifacts-output-verity-base artifacts-output-verity-arm64-azl4 toolsdir-azl4", REMOVE, ["dnf5"]),
    ("artifacts-output-verity-azl3", "artifacts-output-verity-base", REMOVE, ["grub2-tools"]),
    ("create-azl4-arm64", "create-base", INSTALL, ["dosfstools"]),
    ("create-azl4-btrfs-amd64", "create-btrfs-base", INSTALL, ["dosfstools"]),
    ("create-fedora-amd64", "create-base", INSTALL, ["dosfstools", "plymouth"]),
    ("create-fedora-btrfs-amd64", "create-btrfs-base", "storage.filesystems.1.type", "btrfs"),
    ("create-fedora-btrfs-arm64", "create-btrfs-base", "storage.filesystems.1.type", "btrfs"),
    ("create-minimal-os", "create-base", "previewFeatures", ["create", "tools-dir", "base-configs"]),
    ("create-minimal-os-btrfs", "create-btrfs-base", "previewFeatures",
     ["btrfs", "create", "tools-dir", "base-configs"]),
    ("hierarchical-config", "hierarchical-config-base", "output.artifacts",
     {"path": "results/side-2", "items": ["ukis", "bootloader"]}),
    ("hierarchical-config-arm64-azl4", "hierarchical-config-base-azl4", "os.services",
     {"enable": ["tftp", "cups", "chronyd"], "disable": ["tftp"]}),
    ("legacyboot-config-azl4", "legacyboot-config-base", "storage.bootType", "legacy"),
    ("multikernel-azl2", "multikernel-base", ARGUMENTS, ["quiet", "panic=5", "quiet", "panic=5"]),
    ("multikernel-azl4", "multikernel-base", ARGUMENTS, ["quiet", "panic=5", "quiet", "panic=9"]),
    ("partitions-selinux-enforcing-azl3", "partitions-selinux-enforcing-base", MODE, "enforcing"),
    ("uki-noreset-amd64-azl4", "uki-noreset-base", SCRIPT, X64),
    ("uki-noreset-arm64-azl4", "uki-noreset-base", SCRIPT, AA64),
    ("verity-reinit-usr-uki-noreset-kernel-swap-azl3", "verity-reinit-usr-uki-noreset", REMOVE, ["kernel-hci"]),
    ("verity-reinit-usr-uki-noreset-multikernel-azl4", "verity-reinit-usr-uki-noreset-multikernel-base", ARGUMENTS,
     ["rd.shell"]),
    ("verity-root-azl3", "verity-root-base", MODE, "disabled"),
    ("verity-root-azl4-toolsdir", "verity-root-base verity-root-azl4 toolsdir-azl4", INSTALL, ["cryptsetup"]),
    ("verity-root-inline-uki-amd64-azl4", "verity-root-inline-uki-base", SCRIPT.replace("0", "1"), X64),
    ("verity-root-inline-uki-azl3", "verity-root-inline-uki-base", REMOVE, ["grub2-tools"]),
    ("verity-root-part-labels-azl3", "verity-root-part-labels-base", INSTALL, ["cryptsetup", "nano"] * 2),
    ("verity-root-part-labels-azl3-toolsdir",
     "verity-root-part-labels-base verity-root-part-labels-azl3 toolsdir-azl3", REMOVE, ["dnf", "librpm"]),
    ("verity-root-part-labels-azl4", "verity-root-part-labels-base", INSTALL, ["cryptsetup", "nano", "cryptsetup"]),
    ("verity-root-uki-arm64-azl4", "verity-root-uki-base", SCRIPT, AA64),
    ("verity-root-uki-azl3", "verity-root-uki-base", REMOVE, ["grub2-tools"]),
    ("verity-usr-inline-uki-amd64-azl4", "verity-usr-inline-uki-base", SCRIPT, X64),
    ("verity-usr-inline-uki-azl3", "verity-usr-inline-uki-base", REMOVE, ["grub2-tools"]),
    ("verity-usr-uki-amd64-azl4", "verity-usr-uki-base", SCRIPT, X64),
    ("verity-usr-uki-arm64-azl4", "verity-usr-uki-base", SCRIPT, AA64),
]  # fmt: skip

REFUSED: list[tuple[str, list[tuple[int, str, str]]]] = [
    # file; line, key and message of each problem
    ("create-fedora-arm64-packages", [(1, "packages", "unknown key 'packages'")]),  # a package list
    ("osmodifier-boot-config", [  # another tool's configuration
        (2, "os.rootDevice", "unknown key 'rootDevice'"),
        (5, "os.verity", "unknown key 'verity'"),
        (7, "os.overlays[0].mountPoint", "this key is required and missing"),
        (7, "os.overlays[0].lowerDir", "unknown key 'lowerDir'"),
        (10, "os.overlays[0].partition", "unknown key 'partition'"),
    ]),
    ("storage-more-than-one", [(3, "storage", "another file of the chain has this section already: ")]),
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in TEXTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def at(value: Any, key: str) -> Any:
    """What is at a key such as `os.users.0.name`; None where there is nothing."""
    for step in key.split("."):
        value = value[int(step)] if isinstance(value, list) else value.get(step)
    return value


def test_every_file_has_an_expectation() -> None:
    names = [f"{row[0]}.yaml" for table in (ALONE, UPON_OTHERS, REFUSED) for row in table]
    assert len(names) == 122
    assert sorted([*names, *REQUIRED_BY_OTHERS]) == sorted(TEXTS)


@pytest.mark.parametrize(
    ("name", "bases", "key", "value"), [*((name, "", key, value) for name, key, value in ALONE), *UPON_OTHERS]
)
def test_accepted(corpus: Path, name: str, bases: str, key: str, value: object) -> None:
    loaded = load_image_config(corpus / f"{name}.yaml")
    assert [file.path.stem for file in loaded.files] == [*bases.split(), name]
    assert at(loaded.config.model_dump(mode="json", by_alias=True, exclude_unset=True), key) == value


@pytest.mark.parametrize(("name", "expected"), REFUSED)
def test_refused(corpus: Path, name: str, expected: list[tuple[int, str, str]]) -> None:
    path = corpus / f"{name}.yaml"
    with pytest.raises(ConfigError) as caught:
        load_image_config(path)
    found = caught.value.problems
    assert {problem.file for problem in found} == {str(path)}
    assert [(problem.line, problem.key) for problem in found] == [row[:2] for row in expected]
    for problem, (_, _, message) in zip(found, expected, strict=True):
        assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("name", "size", "ends"),
    [
        # file, size of the disk and ends of the partitions in MiB
        ("create-base", 2048, [49, 2047]),
        ("imagehistory-config", 6144, [17, 270, 2318, 6143]),
        ("legacyboot-config-azl4", 3072, [512, 3071]),
        ("partitions-bad-types", 4314, [17, 217, 3289, 4313]),
        ("partitions-config", 6144, [65, 2048, 4096, 6143]),
        ("verity-root-azl4-toolsdir", 4770, [41, 553, 3625, 3745, 4769]),
        ("verity-usr-uki-arm64-azl4", 6754, [301, 813, 3885, 4005, 4705, 6753]),
    ],
)
def test_layouts(corpus: Path, name: str, size: int, ends: list[int]) -> None:
    layout = load_image_config(corpus / f"{name}.yaml").layout
    assert layout is not None
    assert layout.disk_size == size * MIB
    assert [partition.end // MIB for partition in layout.partitions] == ends


def test_packages_of_lists_and_of_the_file(corpus: Path) -> None:
    fedora = load_image_config(corpus / "create-fedora-btrfs-arm64.yaml").files[-1].packages
    assert fedora.install == ("kernel", "systemd", "uboot-tools", "dtc", "dosfstools", "plymouth")
    removed = load_image_config(corpus / "packages-remove-config.yaml").files[-1].packages
    assert removed.remove == ("nano", "vim", "rsyslog")
