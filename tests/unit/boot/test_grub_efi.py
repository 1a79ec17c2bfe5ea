"""grub without a prefix: what it is made of, and where it is found on the ESP."""

from __future__ import annotations

from pathlib import Path

from tests.planned import planned_disk
from tests.unit.boot.test_grub import AZURE3, AZURE4, BTRFS, DEBIAN

from twinroot.boot.grub_efi import architectures, modules, on_fat, provide_plain_grub


def test_only_distributions_without_such_a_package_make_one() -> None:
    assert DEBIAN.makes_plain_grub
    assert not AZURE3.makes_plain_grub and not AZURE4.makes_plain_grub


def test_it_is_made_for_the_architectures_of_the_grub_that_is_there() -> None:
    assert architectures(["BOOTX64.EFI", "GRUBX64.EFI", "mmx64.efi"]) == ("x64",)
    assert architectures(["grubaa64.efi", "grubx64-noprefix.efi"]) == ("aa64",)
    assert architectures([]) == ()


def test_it_reads_the_file_system_of_boot(tmp_path: Path) -> None:
    made = modules(planned_disk(tmp_path).mount_of("/boot"))
    assert {"ext2", "fat", "part_gpt", "linux", "search_fs_uuid"} <= set(made) and "btrfs" not in made
    assert made == sorted(set(made))
    assert "btrfs" in modules(planned_disk(tmp_path, BTRFS).mount_of("/boot"))


def test_it_is_what_shim_starts_where_there_is_no_other(tmp_path: Path) -> None:
    assert provide_plain_grub(tmp_path) == []
    directory = tmp_path / "EFI/Boot"
    directory.mkdir(parents=True)
    (directory / "GRUBX64-NOPREFIX.EFI").write_text("plain")
    assert provide_plain_grub(tmp_path) == [directory]
    assert (directory / "grubx64.efi").read_text() == "plain"
    (directory / "grubx64.efi").write_text("signed")
    assert provide_plain_grub(tmp_path) == [directory]
    assert (directory / "grubx64.efi").read_text() == "signed"


def test_names_on_fat_count_whatever_their_case(tmp_path: Path) -> None:
    (tmp_path / "efi/Boot").mkdir(parents=True)
    (tmp_path / "efi/Boot/GRUB.CFG").touch()
    assert on_fat(tmp_path, "EFI/BOOT/grub.cfg") == tmp_path / "efi/Boot/GRUB.CFG"
    assert on_fat(tmp_path, "EFI/debian/grub.cfg") == tmp_path / "efi/debian/grub.cfg"
    assert on_fat(tmp_path, "boot/grub2") == tmp_path / "boot/grub2"
