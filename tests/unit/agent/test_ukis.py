"""Unified kernels of slots: their names, and what systemd-boot is told."""

from __future__ import annotations

import pytest

from twinroot.agent.boot.efi_variables import Delete, Set
from twinroot.agent.boot.trial import ARGUMENTS, is_trial
from twinroot.agent.boot.ukis import (
    DEFAULT,
    ONE_SHOT,
    STAGED,
    final_name,
    is_trial_entry,
    kernel_of,
    kernel_of_slot,
    newest,
    only_uki,
    outdated,
    promote,
    release,
    running_kernel,
    starts_kernel,
    trial_entry,
    trial_text,
    try_once,
    uki_of,
    with_default,
)
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.formats.efi_boot import write_text

A: AbVolume = "volume-a"
B: AbVolume = "volume-b"


def test_names_of_kernels() -> None:
    found = uki_of("vmlinuz-101-azlb2.efi")
    assert found
    assert (found.number, found.volume, found.install_index) == (101, B, 2)
    for name in (STAGED, "vmlinuz-6.6.efi", "vmlinuz-1-azlc0.efi", "vmlinuz-101-azlb2.efi.extra.d"):
        assert uki_of(name) is None
    assert only_uki(["a.EFI", "b.conf", "a.EFI.extra.d"]) == "a.EFI"
    for names in ([], ["a.efi", "b.efi"]):
        with pytest.raises(ServicingError, match=f"{len(names)} unified kernel images"):
            only_uki(names)


@pytest.mark.parametrize(
    ("names", "target", "active", "index", "expected"),
    [
        ([], A, None, 0, []),
        (["vmlinuz-100-azla0.efi", "vmlinuz-101-azlb0.efi"], B, A, 0, ["vmlinuz-101-azlb0.efi"]),
        (["vmlinuz-100-azla0.efi", "vmlinuz-101-azla1.efi"], A, B, 0, ["vmlinuz-100-azla0.efi"]),
        (["vmlinuz-6.6.efi", STAGED], B, A, 0, [STAGED]),
        (["vmlinuz-6.6.efi", "vmlinuz-100-azla0.efi"], B, A, 0, ["vmlinuz-6.6.efi"]),
        (["vmlinuz-6.6.efi", "vmlinuz-100-azla1.efi"], B, A, 1, []),
        (["vmlinuz-101-azlb0.efi.extra.d"], B, A, 0, ["vmlinuz-101-azlb0.efi"]),
        # What a staging left that was cut off.
        ([f"{STAGED}.new", f"{STAGED}.extra.d"], B, A, 0, [STAGED, f"{STAGED}.new"]),
    ],
)
def test_kernels_that_make_room(
    names: list[str], target: AbVolume, active: AbVolume | None, index: int, expected: list[str]
) -> None:
    assert list(outdated(names, target, active, index)) == expected


def test_the_kernel_that_runs_stays() -> None:
    names = ["vmlinuz-6.6.efi", "vmlinuz-6.7.efi", "vmlinuz-100-azla0.efi", "vmlinuz-101-azlb0.efi"]
    assert outdated(names, B, A, 0, "VMLINUZ-6.6.EFI") == ("vmlinuz-101-azlb0.efi", "vmlinuz-6.7.efi")
    with pytest.raises(ServicingError, match=r"vmlinuz-101-azlb0.efi, is of volume-b, which is to be written"):
        outdated(names, B, A, 0, "vmlinuz-101-azlb0.efi")


def test_the_next_name() -> None:
    assert final_name([], A, 0) == "vmlinuz-100-azla0.efi"
    assert final_name(["vmlinuz-140-azla3.efi", "vmlinuz-900.efi"], B, 1) == "vmlinuz-141-azlb1.efi"
    assert newest(["vmlinuz-140-azla0.efi", "vmlinuz-99-azlb0.efi", "vmlinuz-101-azlb0.efi"], B, 0) == (
        "vmlinuz-101-azlb0.efi"
    )
    assert newest([], B, 0) is None


@pytest.mark.parametrize(
    ("names", "volume", "index", "expected"),
    [
        (["vmlinuz-9.efi", "vmlinuz-101-azlb0.efi", "vmlinuz-100-azla0.efi"], A, 0, "vmlinuz-100-azla0.efi"),
        (["vmlinuz-6.9.efi", "vmlinuz-6.10.efi", "vmlinuz-100-azlb0.efi"], A, 0, "vmlinuz-6.10.efi"),
        # The newest but one would be that of another installation.
        (["vmlinuz-100-azla0.efi", "vmlinuz-101-azlb1.efi"], A, 1, None),
    ],
)
def test_the_kernel_of_a_slot(names: list[str], volume: AbVolume, index: int, expected: str | None) -> None:
    assert kernel_of_slot(names, volume, index) == expected


@pytest.mark.parametrize(
    ("files", "names", "expected"),
    [
        (["grub.cfg", "grubx64.efi"], [], False),
        (["GRUB.CFG"], ["vmlinuz-101-azlb0.efi", "other.efi"], False),
        (["bootx64.efi"], ["vmlinuz-6.6.efi"], True),
        (["grub.cfg"], ["vmlinuz-101-azla0.efi"], True),
        (["grub.cfg"], [STAGED], True),
    ],
)
def test_what_starts_a_slot(files: list[str], names: list[str], expected: bool) -> None:
    assert starts_kernel(files, names, A, 0) is expected


def test_an_entry_for_a_trial() -> None:
    for kernel in ("vmlinuz-100-azla0.efi", "linux.efi"):
        assert kernel_of(trial_entry(kernel)) == kernel_of(kernel) == kernel
        assert is_trial_entry(trial_entry(kernel))
        assert not is_trial_entry(kernel)
    assert trial_text("linux.efi", " root=UUID=1\n quiet\0") == (
        f"title linux.efi on trial\nefi /EFI/Linux/linux.efi\noptions root=UUID=1 quiet {ARGUMENTS}\n"
    )
    assert is_trial(trial_text("linux.efi", ""))


def test_what_systemd_boot_is_told() -> None:
    name = write_text("vmlinuz-100-azla0.efi")
    assert promote("vmlinuz-100-azla0.efi") == (Set(DEFAULT, name),)
    once = try_once("vmlinuz-100-azla0.efi")
    assert once == (Set(ONE_SHOT, write_text("vmlinuz-100-azla0-trident-trial.conf")),)
    for said in (name, write_text("VMLINUZ-100-AZLA0-trident-trial.conf")):
        assert release(said, ["vmlinuz-100-azla0.efi"]) == (Delete(ONE_SHOT),)
        assert release(said, ["other.efi"]) == release(None, ["other.efi"]) == ()


def test_the_kernel_that_runs() -> None:
    assert running_kernel(None) is None
    assert running_kernel(write_text("vmlinuz-100-azla0-trident-trial.conf")) == "vmlinuz-100-azla0.efi"
    for selected in (b"", b"\0\0"):
        with pytest.raises(ServicingError, match="which kernel it started"):
            running_kernel(selected)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "default a.efi\n"),
        ("timeout 3\n", "timeout 3\ndefault a.efi\n"),
        ("  default  b.efi\n#default x\ntimeout 3", "#default x\ntimeout 3\ndefault a.efi\n"),
        ("default a.efi\n", "default a.efi\n"),
    ],
)
def test_the_default_without_variables(before: str, after: str) -> None:
    assert with_default(before, "a.efi") == after
