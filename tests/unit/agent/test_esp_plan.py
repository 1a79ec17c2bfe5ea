"""What belongs on the ESP, as tables."""

from __future__ import annotations

import pytest

from twinroot.agent.boot.esp_plan import (
    Copied,
    FallbackMode,
    Moment,
    boot_files,
    efi_architecture,
    fallback_slot,
    fallback_source,
    free_install_index,
    kept_files,
)
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume

GRUB = ["EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/grubx64-noprefix.efi", "EFI/BOOT/grub.cfg"]
A: AbVolume = "volume-a"
B: AbVolume = "volume-b"


@pytest.mark.parametrize(
    ("there", "uki", "any_grub", "expected"),
    [
        (GRUB, False, False, [GRUB[3], GRUB[2], GRUB[0]]),
        ([*GRUB[:3], "boot/grub2/grub.cfg"], False, False, ["boot/grub2/grub.cfg", GRUB[2], GRUB[0]]),
        ([*GRUB[:2], GRUB[3]], False, True, [GRUB[3], GRUB[1], GRUB[0]]),
        ([GRUB[0], GRUB[1]], True, False, [GRUB[1], GRUB[0]]),
        ([GRUB[0]], True, False, [GRUB[0]]),
    ],
)
def test_boot_files(there: list[str], uki: bool, any_grub: bool, expected: list[str]) -> None:
    found = boot_files(there, "x86_64", uki=uki, any_grub=any_grub)
    assert [file.source for file in found] == expected
    names = ["grub.cfg", "grubx64.efi", "bootx64.efi"]
    assert [file.name for file in found] == (names if not uki else names[-len(expected) :])
    assert found[-1] == Copied(GRUB[0], "bootx64.efi")


@pytest.mark.parametrize(
    ("there", "any_grub", "missing"),
    [
        ([], False, "EFI/BOOT/grub.cfg"),
        ([GRUB[0], GRUB[1], GRUB[3]], False, "EFI/BOOT/grubx64-noprefix.efi"),
        ([GRUB[0], GRUB[3]], True, "EFI/BOOT/grubx64.efi"),
        (GRUB[1:], False, "EFI/BOOT/bootx64.efi"),
    ],
)
def test_missing_boot_files(there: list[str], any_grub: bool, missing: str) -> None:
    with pytest.raises(ServicingError, match=f"has no {missing}"):
        boot_files(there, "x86_64", uki=False, any_grub=any_grub)


def test_architectures() -> None:
    assert (efi_architecture("amd64"), efi_architecture("arm64")) == ("x64", "aa64")
    with pytest.raises(ServicingError, match="riscv64"):
        efi_architecture("riscv64")


@pytest.mark.parametrize(
    ("mode", "moment", "active", "target", "expected"),
    [
        ("conservative", Moment.INSTALL_FINALIZE, None, A, A),
        ("optimistic", Moment.INSTALL_FINALIZE, None, A, A),
        ("conservative", Moment.STAGE, A, B, A),
        ("optimistic", Moment.STAGE, A, B, A),
        ("conservative", Moment.UPDATE_FINALIZE, A, B, A),
        ("optimistic", Moment.UPDATE_FINALIZE, A, B, B),
        ("conservative", Moment.COMMIT, B, B, B),
        ("optimistic", Moment.COMMIT, B, B, B),
        ("conservative", Moment.ROLLBACK_FINALIZE, B, A, A),
        ("optimistic", Moment.ROLLBACK_FINALIZE, B, A, A),
        *[("disabled", moment, A, B, None) for moment in Moment],
        ("conservative", Moment.STAGE, None, A, None),
    ],
)
def test_fallback(
    mode: FallbackMode, moment: Moment, active: AbVolume | None, target: AbVolume, expected: AbVolume | None
) -> None:
    assert fallback_slot(mode, moment, active, target) == expected


def test_the_directory_that_the_fallback_comes_from() -> None:
    assert fallback_source(["BOOT", "azla"], A, 0) == "AZLA"
    assert fallback_source(["BOOT", "AZLB"], A, 0) is None
    assert fallback_source(["AZLA", "AZL2B"], B, 1) == "AZL2B"
    for directories, volume, index in ((["AZLA"], B, 0), (["BOOT"], A, 0), (["AZLB"], A, 1)):
        with pytest.raises(ServicingError, match="the ESP has no directory EFI/AZL"):
            fallback_source(directories, volume, index)


def test_install_indexes() -> None:
    assert free_install_index(["BOOT"]) == 0
    assert free_install_index(["azlb", "AZL2A", "AZL4A"]) == 2
    with pytest.raises(ServicingError, match="1000 installations"):
        free_install_index(["AZLA", *(f"AZL{number}B" for number in range(2, 1001))])


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        (("BOOTX64.EFI", "grub.cfg", "grubx64.efi"), ("BOOTX64.EFI", "grub.cfg", "grubx64.efi")),
        (("bootx64.efi", "grubx64-noprefix.efi", "GRUBX64.EFI", "mmx64.efi"), ("bootx64.efi", "GRUBX64.EFI")),
        (("bootx64.efi", "grubx64-noprefix.efi"), ("bootx64.efi", "grubx64-noprefix.efi")),
        (("bootaa64.efi", "MMAA64.efi", "bootaa64.efi.new", "grubaa64.efi.OLD"), ("bootaa64.efi",)),
        ((), ()),
    ],
)
def test_files_of_a_slot_that_is_made_of_the_fallback(there: tuple[str, ...], kept: tuple[str, ...]) -> None:
    assert kept_files(there, uki=False) == kept


def test_a_kernel_needs_no_configuration_of_grub() -> None:
    assert kept_files(("BOOTX64.EFI", "GRUB.CFG"), uki=True) == ("BOOTX64.EFI",)
