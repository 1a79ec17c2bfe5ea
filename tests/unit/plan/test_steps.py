"""The steps of a customisation: which there are, and their order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from twinroot.config.load import LoadedConfig, load_image_config
from twinroot.plan.steps import Action, Ends, Step, all_steps, tree_steps

EVERYTHING = """\
previewFeatures: [uki, remove-package-manager, output-artifacts, output-selinux-policy]
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      partitions:
        - {id: esp, type: esp, size: 8M}
        - {id: root, size: 64M}
        - {id: hash, size: 8M}
  verity: [{id: v, name: root, dataDeviceId: root, hashDeviceId: hash}]
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
    - {deviceId: v, type: ext4, mountPoint: {path: /, options: ro}}
os:
  hostname: h
  packages: {install: [vim], remove: [nano], update: [bash], updateExistingPackages: true, removePackageManager: true}
  groups: [{name: g}]
  users: [{name: u, password: {type: plain-text, value: secret}}, {name: w}]
  additionalDirs: [{source: d, destination: /d}]
  additionalFiles: [{content: x, destination: /f}]
  services: {enable: [a], disable: [b, c]}
  modules: [{name: m, loadMode: always}]
  bootloader: {resetType: hard-reset}
  kernelCommandLine: {extraCommandLine: [x=1, "y=2 3"]}
  selinux: {mode: enforcing}
  overlays: [{mountPoint: /etc, lowerDirs: [/etc], upperDir: /u, workDir: /w}]
  uki: {mode: create}
scripts:
  postCustomization: [{content: x, name: first}, {path: s.sh}]
  finalizeCustomization: [{content: x}]
output:
  artifacts: {path: out, items: [ukis, shim]}
  selinuxPolicyPath: policy
"""
LAST = [Action.RESOLV_CONF, Action.RELABEL, Action.KERNEL_CHECK]
ENDS = Ends("base.vhdx", "out.raw", "raw")


def loaded(directory: Path, text: str, **others: str) -> LoadedConfig:
    for name, content in others.items():
        (directory / f"{name}.yaml").write_text(content)
    (directory / "c.yaml").write_text(text)
    return load_image_config(directory / "c.yaml")


def test_everything_in_its_order(tmp_path: Path) -> None:
    steps = all_steps(loaded(tmp_path, EVERYTHING), ENDS)
    assert [step.action for step in steps] == [
        Action.OPEN, Action.LAYOUT, Action.FSTAB, Action.PACKAGES, Action.HOSTNAME, Action.GROUPS, Action.USERS,
        Action.DIRECTORIES, Action.FILES, Action.SERVICES, Action.MODULES, Action.RELEASE, Action.HISTORY,
        Action.BOOT_LOADER, Action.SELINUX, Action.OVERLAYS, Action.VERITY, Action.INITRAMFS, Action.POST_SCRIPTS,
        Action.RESOLV_CONF, Action.UKI,
        Action.REMOVE_PACKAGE_MANAGER, Action.RELABEL, Action.FINAL_SCRIPTS, Action.KERNEL_CHECK, Action.FILESYSTEMS,
        Action.VERITY_HASHES, Action.BUILD_UKIS, Action.ARTIFACTS, Action.SELINUX_POLICY, Action.OUTPUT,
    ]  # fmt: skip
    shown = {step.action: (step.title, step.details) for step in steps}
    assert shown[Action.PACKAGES][1] == (
        "remove: nano", "update everything that is installed", "install: vim", "update: bash",
    )  # fmt: skip
    assert shown[Action.USERS] == ("Create or change users: u, w", ())
    assert shown[Action.SERVICES][1] == ("enable: a", "disable: b, c")
    assert shown[Action.POST_SCRIPTS][1] == ("first", "s.sh")
    assert shown[Action.FINAL_SCRIPTS][1] == ("inline script",)
    assert shown[Action.ARTIFACTS][1] == ("ukis, shim", str(tmp_path / "out"))
    assert shown[Action.FILESYSTEMS][1] == ("fat32 on esp, for /boot/efi", "ext4 on v, for /")
    assert shown[Action.OUTPUT] == ("Write the output as raw", ("out.raw",))
    assert "secret" not in repr(steps)


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("{}", []),
        ("os: {imageHistory: ''}", []),
        ("os: {}", []),
        ("os: {packages: {removePackageManager: false}}\npreviewFeatures: [remove-package-manager]", []),
        ("os: {kernelCommandLine: {extraCommandLine: [a]}}", [Action.KERNEL_ARGUMENTS]),
        ("os: {bootloader: {resetType: hard-reset}}", [Action.BOOT_LOADER]),
        ("os: {overlays: []}", [Action.INITRAMFS]),
        ("os: {selinux: {mode: disabled}}", [Action.SELINUX]),
        (
            "storage: {resetPartitionsUuidsType: reset-all}\nos: {bootloader: {resetType: hard-reset}}",
            [Action.FSTAB_IDENTIFIERS, Action.BOOT_LOADER, Action.INITRAMFS],
        ),
        (
            "storage: {verity: [{id: v, name: usr, dataDevice: {idType: part-label, id: a}, "
            "hashDevice: {idType: part-label, id: b}}]}",
            [Action.VERITY, Action.INITRAMFS],
        ),
    ],
)
def test_only_what_is_asked_for(tmp_path: Path, text: str, actions: list[Action]) -> None:
    found = [step.action for step in tree_steps(loaded(tmp_path, text))]
    always = (Action.RELEASE, Action.HISTORY)
    last = [action for action in LAST if action is not Action.RELABEL or Action.SELINUX not in actions]
    assert [action for action in found if action not in always] == [*actions, *last]
    assert [action for action in found if action in always] == [*always]


def test_no_history(tmp_path: Path) -> None:
    steps = tree_steps(loaded(tmp_path, "os: {imageHistory: none}"))
    assert [step.action for step in steps] == [Action.RELEASE, *LAST]


def test_a_chain_is_carried_out_file_by_file(tmp_path: Path) -> None:
    base = "os: {packages: {install: [a]}, users: [{name: u}], groups: [{name: g}], services: {enable: [s]}}"
    config = loaded(
        tmp_path,
        "previewFeatures: [base-configs]\nbaseConfigs: [{path: base.yaml}]\n"
        "os: {packages: {remove: [a]}, users: [{name: u}], groups: [{name: h}], services: {disable: [s]}}",
        base=base,
    )
    assert tree_steps(config)[:-5] == (
        Step(Action.PACKAGES, "Change packages", ("install: a",), 0),
        Step(Action.PACKAGES, "Change packages", ("remove: a",), 1),
        Step(Action.GROUPS, "Create groups: g", (), 0),
        Step(Action.USERS, "Create or change users: u", (), 0),
        Step(Action.GROUPS, "Create groups: h", (), 1),
        Step(Action.USERS, "Create or change users: u", (), 1),
        Step(Action.SERVICES, "Set services", ("enable: s",), 0),
        Step(Action.SERVICES, "Set services", ("disable: s",), 1),
    )


def test_another_snapshot_time_counts_for_all_packages_and_makes_no_step_of_its_own(tmp_path: Path) -> None:
    text = "previewFeatures: [package-snapshot-time]\nos: {packages: {install: [a], snapshotTime: 2024-01-01}}"
    step = tree_steps(loaded(tmp_path, text), datetime(2025, 2, 3, tzinfo=UTC))[0]
    assert step.details == ("install: a", "only packages published before 2025-02-03T00:00:00+00:00")
    steps = tree_steps(loaded(tmp_path, "{}"), datetime(2025, 2, 3, tzinfo=UTC))
    assert Action.PACKAGES not in [step.action for step in steps]


def test_what_is_not_given_yet_is_said(tmp_path: Path) -> None:
    first, second, *_, last = all_steps(loaded(tmp_path, "{}"), Ends(None, None, None))
    assert first.details == last.details == ("none is given yet",)
    assert second.title == "Keep the partitions of the base image, with their UUIDs and labels"
    assert last.title == "Write the output"
