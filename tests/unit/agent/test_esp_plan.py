"""What belongs on the ESP, as tables."""

from __future__ import annotations

import pytest

from twinroot.agent.boot.efi_variables import Delete, Set
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
from twinroot.agent.boot.ukis import (
    DEFAULT,
    ONE_SHOT,
    STAGED,
    choose,
    final_name,
    newest,
    only_uki,
    outdated,
    pin,
    previous,
    promote,
    release,
    uki_of,
)
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.formats.efi_boot import write_text

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
    ],
)
def test_kernels_that_make_room(
    names: list[str], target: AbVolume, active: AbVolume | None, index: int, expected: list[str]
) -> None:
    assert list(outdated(names, target, active, index)) == expected


def test_the_next_name() -> None:
    assert final_name([], A, 0) == "vmlinuz-100-azla0.efi"
    assert final_name(["vmlinuz-140-azla3.efi", "vmlinuz-900.efi"], B, 1) == "vmlinuz-141-azlb1.efi"
    assert newest(["vmlinuz-140-azla0.efi", "vmlinuz-99-azlb0.efi", "vmlinuz-101-azlb0.efi"], B, 0) == (
        "vmlinuz-101-azlb0.efi"
    )
    assert newest([], B, 0) is None


def test_the_kernel_to_go_back_to() -> None:
    assert previous(["vmlinuz-9.efi", "vmlinuz-101-azlb0.efi", "vmlinuz-100-azla0.efi"]) == "vmlinuz-100-azla0.efi"
    assert previous(["vmlinuz-6.9.efi", "vmlinuz-6.10.efi", "vmlinuz-100-azla0.efi"]) == "vmlinuz-6.10.efi"
    with pytest.raises(ServicingError, match="no unified kernel image to go back to"):
        previous(["vmlinuz-100-azla0.efi"])


def test_what_systemd_boot_is_told() -> None:
    name = write_text("vmlinuz-100-azla0.efi")
    assert choose("vmlinuz-100-azla0.efi", lasting=True) == (Set(DEFAULT, name),)
    assert choose("vmlinuz-100-azla0.efi", lasting=False) == (Set(ONE_SHOT, name),)
    assert pin(name, None) == ()
    assert pin(None, name) == promote(name) == (Set(DEFAULT, name),)
    assert release(name, ["vmlinuz-100-azla0.efi"]) == (Delete(ONE_SHOT),)
    assert release(name, ["other.efi"]) == release(None, ["other.efi"]) == ()
    for selected in (None, b"", b"\0\0"):
        with pytest.raises(ServicingError, match="which kernel it started"):
            pin(None, selected)


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
    assert kept_files(there) == kept
