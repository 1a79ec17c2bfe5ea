"""`previewFeatures`, and what needs which of them."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, unmarked

from twinroot.config.image.preview_features import PreviewFeature

FEATURES = (
    "uki",
    "output-artifacts",
    "inject-files",
    "package-snapshot-time",
    "reinitialize-verity",
    "kdump-boot-files",
    "base-configs",
    "input-image-oci",
    "output-selinux-policy",
    "btrfs",
    "create",
    "preview-distro-version",
    "unsupported-distro-version",
    "tools-dir",
    "remove-package-manager",
)
VERITY = (
    "id: v, name: root, dataDevice: {idType: part-label, id: a}, hashDevice: {idType: part-label, id: b}, "
    "hashSignaturePath: "
)
BTRFS = """\
storage:
  bootType: efi
  disks: [{partitionTableType: gpt, partitions: [{id: esp, type: esp, size: 8M}, {id: root, size: 1G}]}]
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
  - {deviceId: root, type: «btrfs, mountPoint: /}
os: {bootloader: {resetType: hard-reset}}
"""

GATES = [
    # the feature, a text that needs it, where
    ("uki", "os: {uki: «{}}", "os.uki"),
    ("uki", "os: {uki: «{mode: create}}", "os.uki"),
    ("output-artifacts", "output: {artifacts: «{path: a, items: [ukis]}}", "output.artifacts"),
    ("output-artifacts", f"storage: {{verity: [{{{VERITY}«/boot/a.sig}}]}}", "storage.verity[0].hashSignaturePath"),
    ("package-snapshot-time", "os: {packages: {snapshotTime: «2024-05-20}}", "os.packages.snapshotTime"),
    ("reinitialize-verity", "storage: {reinitializeVerity: «all}", "storage.reinitializeVerity"),
    ("reinitialize-verity", "storage: {reinitializeVerity: «none}", "storage.reinitializeVerity"),
    ("kdump-boot-files", "iso: {kdumpBootFiles: «none}", "iso.kdumpBootFiles"),
    ("kdump-boot-files", "iso: {kdumpBootFiles: «keep}", "iso.kdumpBootFiles"),
    ("kdump-boot-files", "pxe: {kdumpBootFiles: «keep}", "pxe.kdumpBootFiles"),
    ("base-configs", "baseConfigs: «[]", "baseConfigs"),
    ("input-image-oci", "input: {image: {oci: «a/b}}", "input.image.oci"),
    ("input-image-oci", "input: {image: {oci: «{uri: a/b}}}", "input.image.oci"),
    ("output-selinux-policy", "output: {selinuxPolicyPath: «a}", "output.selinuxPolicyPath"),
    ("btrfs", BTRFS, "storage.filesystems[1].type"),
    ("remove-package-manager", "os: {packages: {removePackageManager: «true}}", "os.packages.removePackageManager"),
    ("remove-package-manager", "os: {packages: {removePackageManager: «false}}", "os.packages.removePackageManager"),
]

FREE = [
    "os: {uki: }",
    "output: {artifacts: , selinuxPolicyPath: ''}",
    f"storage: {{verity: [{{{VERITY}''}}]}}",
    "os: {packages: {snapshotTime: '', removePackageManager: }}",
    "storage: {reinitializeVerity: ''}",
    "iso: {kdumpBootFiles: ''}\npxe: {kdumpBootFiles: }",
    "baseConfigs:",
    "input: {image: {oci: }}",
    "input: {image: {azureLinux: {variant: minimal-os, version: 3.0}}}",
    BTRFS.replace("btrfs", "xfs"),
]

WRONG: list[Wrong] = [
    ("previewFeatures: «uki", "previewFeatures", "expected a list"),
    ("previewFeatures: «{uki: true}", "previewFeatures", "expected a list"),
    ("previewFeatures: [uki, «UKI]", "previewFeatures[1]", "'UKI' is not allowed here: use uki, output-artifacts,"),
    ("previewFeatures: [«'']", "previewFeatures[0]", "'' is not allowed here"),
    ("previewFeatures: [«~]", "previewFeatures[0]", "expected uki, output-artifacts,"),
    ("previewFeatures: [«crash-dump]", "previewFeatures[0]", "'crash-dump' is not allowed here"),
    ("«previewFeature: [uki]", "previewFeature", "unknown key 'previewFeature'"),
]


def test_the_features_are_all_there(config_of: ConfigOf) -> None:
    assert get_args(PreviewFeature) == FEATURES
    assert config_of(f"previewFeatures: [{', '.join(FEATURES)}]").preview_features == FEATURES


def test_a_feature_may_be_named_twice(config_of: ConfigOf) -> None:
    assert config_of("previewFeatures: [uki, uki]").preview_features == ("uki", "uki")


@pytest.mark.parametrize(("feature", "text", "key"), GATES)
def test_gates(problems_of: ProblemsOf, feature: str, text: str, key: str) -> None:
    text += f"\npreviewFeatures: [{', '.join(name for name in FEATURES if name != feature)}]"
    found = problems_of(unmarked(text))
    assert_one_problem(found, text, key, f"this needs the preview feature '{feature}'")
    assert found[0].hint == f"add {feature} to the list previewFeatures of this file"
    assert problems_of(unmarked(text).replace("previewFeatures: [", f"previewFeatures: [{feature}, ")) == []


@pytest.mark.parametrize("text", FREE)
def test_what_is_not_set_needs_no_feature(problems_of: ProblemsOf, text: str) -> None:
    assert problems_of(unmarked(text)) == []


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)


def test_every_use_is_reported(problems_of: ProblemsOf) -> None:
    text = "iso: {kdumpBootFiles: keep}\npxe: {kdumpBootFiles: keep}\nos: {uki: {}, hostname: a_b}\n"
    assert [(problem.line, problem.key) for problem in problems_of(text)] == [
        (1, "iso.kdumpBootFiles"),
        (2, "pxe.kdumpBootFiles"),
        (3, "os.uki"),
        (3, "os.hostname"),
    ]
