"""The boot side of a machine's life, on directories: installed, updated, committed, rolled back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from twinroot.agent.boot.boot_entries import CURRENT, NEXT, read_boot_variables
from twinroot.agent.boot.efi_variables import Delete, EfiVariables, Set
from twinroot.agent.boot.esp_plan import FallbackMode
from twinroot.agent.boot.slots import BootSide, arm, arm_rollback, commit, place, withdraw
from twinroot.agent.boot.ukis import DEFAULT, ONE_SHOT, SELECTED
from twinroot.agent.host_status import AbVolume
from twinroot.formats.efi_boot import HardDrive, read_text, write_numbers

ESP = [HardDrive(1, 2048, 131072, UUID(int=1))]
A: AbVolume = "volume-a"
B: AbVolume = "volume-b"


@pytest.fixture
def side(tmp_path: Path) -> BootSide:
    for name in ("esp", "vars"):
        (tmp_path / name).mkdir()
    return BootSide(tmp_path / "esp", "x86_64", EfiVariables(tmp_path / "vars"))


def image(tmp_path: Path, version: str) -> Path:
    root = tmp_path / f"image-{version}"
    (root / "EFI/BOOT").mkdir(parents=True)
    (root / "EFI/Linux").mkdir()
    for name in ("bootx64.efi", "grubx64-noprefix.efi", "grub.cfg"):
        (root / "EFI/BOOT" / name).write_text(version)
    (root / "EFI/Linux/linux.efi").write_text(version)
    return root


def reboot(side: BootSide) -> str:
    """What the firmware does: start the next entry once, or the first of the order; the name of what it started."""
    now = read_boot_variables(side.variables)
    number = now.order[0] if now.next is None else now.next
    side.variables.carry_out([Set(CURRENT, write_numbers([number])), Delete(NEXT)])
    if side.uki:
        one_shot, default = side.variables.read(ONE_SHOT), side.variables.read(DEFAULT)
        chosen = one_shot or default
        assert chosen is not None
        side.variables.carry_out([Set(SELECTED, chosen), Delete(ONE_SHOT)])
    return now.entries[number].description


def fallback(side: BootSide) -> str:
    return (side.esp / "EFI/BOOT/bootx64.efi").read_text()


def install(side: BootSide, tmp_path: Path) -> None:
    withdraw(side, A, None)
    place(side, image(tmp_path, "1"), A, None)
    arm(side, A, None, ESP, install=True)
    assert reboot(side) == "AZLA"
    commit(side, A, reorder=False)
    assert fallback(side) == "1"


@pytest.mark.parametrize(("mode", "armed"), [("conservative", "1"), ("optimistic", "2")])
@pytest.mark.parametrize("uki", [False, True])
def test_an_update_that_is_kept(side: BootSide, tmp_path: Path, mode: FallbackMode, armed: str, uki: bool) -> None:
    side = replace(side, fallback=mode, uki=uki)
    install(side, tmp_path)
    withdraw(side, B, A)
    place(side, image(tmp_path, "2"), B, A)
    assert reboot(side) == "AZLA"
    arm(side, B, A, ESP, install=False)
    assert fallback(side) == armed
    assert reboot(side) == "AZLB"
    commit(side, B, reorder=True)
    assert fallback(side) == "2"
    assert reboot(side) == "AZLB"
    if uki:
        assert read_text(side.variables.read(SELECTED) or b"") == "vmlinuz-101-azlb0.efi"


@pytest.mark.parametrize("uki", [False, True])
def test_an_update_that_is_not_committed_and_tried_again(side: BootSide, tmp_path: Path, uki: bool) -> None:
    side = replace(side, fallback="optimistic", uki=uki)
    install(side, tmp_path)
    withdraw(side, B, A)
    place(side, image(tmp_path, "2"), B, A)
    arm(side, B, A, ESP, install=False)
    assert reboot(side) == "AZLB"
    assert reboot(side) == "AZLA"
    if uki:
        assert read_text(side.variables.read(SELECTED) or b"") == "vmlinuz-100-azla0.efi"
    arm(side, B, A, ESP, install=False)
    assert fallback(side) == "2"
    withdraw(side, B, A)  # another update takes the place of the one that is armed
    assert fallback(side) == "1"
    assert reboot(side) == "AZLA"


@pytest.mark.parametrize("uki", [False, True])
def test_a_rollback(side: BootSide, tmp_path: Path, uki: bool) -> None:
    side = replace(side, uki=uki)
    install(side, tmp_path)
    withdraw(side, B, A)
    place(side, image(tmp_path, "2"), B, A)
    arm(side, B, A, ESP, install=False)
    reboot(side)
    commit(side, B, reorder=True)
    arm_rollback(side, A, B, ESP)
    assert fallback(side) == "1"
    assert [reboot(side), reboot(side)] == ["AZLA", "AZLA"]
    commit(side, A, reorder=False)
    if uki:
        assert read_text(side.variables.read(DEFAULT) or b"") == "vmlinuz-100-azla0.efi"
    arm_rollback(side, B, A, ESP)
    assert reboot(side) == "AZLB"
    if uki:
        assert read_text(side.variables.read(SELECTED) or b"") == "vmlinuz-101-azlb0.efi"


def test_a_fallback_that_is_nobody_s_business(side: BootSide, tmp_path: Path) -> None:
    side = replace(side, fallback="disabled")
    place(side, image(tmp_path, "1"), A, None)
    arm(side, A, None, ESP, install=True)
    assert not (side.esp / "EFI/BOOT").exists()
