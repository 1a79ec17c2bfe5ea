"""Steps on an ESP, on directories; and that a full disk, a bad image or a repeated step leave nothing half done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.isolated import isolated

from twinroot.agent.boot import fat_files
from twinroot.agent.boot.esp import place_slot, set_fallback, taken_by
from twinroot.agent.boot.esp_plan import boot_files
from twinroot.errors import HostError, InputError

FILES = {
    "EFI/BOOT/BOOTX64.EFI": "shim",
    "EFI/BOOT/grubx64.efi": "grub",
    "EFI/BOOT/grubx64-noprefix.efi": "bare grub",
    "boot/grub2/grub.cfg": "search",
}


def fill(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def content(root: Path) -> dict[str, str]:
    return {path: (root / path).read_text() for path in fat_files.all_files(root)}


@pytest.fixture
def esp(tmp_path: Path) -> Path:
    """The ESP of a machine whose firmware starts another system by default."""
    return fill(tmp_path / "esp", {"EFI/Boot/bootx64.efi": "other", "EFI/Boot/mine.efi": "mine"})


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return fill(tmp_path / "image", FILES)


def slot(esp: Path, image: Path, label: str) -> None:
    place_slot(esp, image, label, boot_files(fat_files.all_files(image), "x86_64", uki=False))


SLOT = {"bootx64.efi": "shim", "grub.cfg": "search", "grubx64.efi": "bare grub"}


def test_a_slot_has_its_files_and_nothing_that_was_there(esp: Path, image: Path) -> None:
    fill(esp, {"EFI/AZLB/old": "old", "EFI/AZL.new/cut": "off"})
    slot(esp, image, "AZLB")
    assert content(esp / "EFI/AZLB") == SLOT
    assert sorted(path.name for path in (esp / "EFI").iterdir()) == ["AZLB", "Boot"]


def test_an_image_with_a_link_for_a_file_leaves_no_slot(esp: Path, image: Path) -> None:
    files = boot_files(fat_files.all_files(image), "x86_64", uki=False)
    (image / "EFI/BOOT/BOOTX64.EFI").unlink()
    (image / "EFI/BOOT/BOOTX64.EFI").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="cannot be read"):
        place_slot(esp, image, "AZLB", files)
    os.mkfifo(image / "pipe")
    (image / "EFI/BOOT/BOOTX64.EFI").unlink()
    (image / "pipe").rename(image / "EFI/BOOT/BOOTX64.EFI")
    with pytest.raises(InputError, match="no plain file"):
        place_slot(esp, image, "AZLB", files)
    assert sorted(path.name for path in (esp / "EFI").iterdir()) == ["Boot"]


def test_the_fallback_is_replaced_file_by_file(esp: Path, image: Path) -> None:
    slot(esp, image, "AZLA")
    fill(esp, {"EFI/Boot/grubx64.efi.new": "cut", "EFI/Boot/bootx64.efi.old": "cut", "EFI/Boot/mine.efi.old": "mine"})
    assert set_fallback(esp, "volume-a", 0, "x64")
    assert content(esp / "EFI/Boot") == {**SLOT, "mine.efi": "mine", "mine.efi.old": "mine"}
    assert not set_fallback(esp, "volume-a", 0, "x64")


def test_a_machine_whose_first_slot_has_no_directory_keeps_its_fallback(esp: Path, image: Path) -> None:
    slot(esp, image, "AZLB")
    before = content(esp)
    assert not set_fallback(esp, "volume-a", 0, "x64")
    assert content(esp) == before


def test_a_full_esp_keeps_the_fallback_as_it_was(tmp_path: Path) -> None:
    found = isolated(
        """
import json
import sys
from pathlib import Path
from twinroot.agent.boot.esp import set_fallback
from twinroot.errors import NoSpaceError
from twinroot.sandbox.mounts import Mounts
with Mounts() as mounts:
    esp = mounts.tmpfs(Path(sys.argv[1]) / "esp", "mode=755,size=64k")
    for name in ("BOOT", "AZLA"):
        (esp / "EFI" / name).mkdir(parents=True)
        (esp / "EFI" / name / "bootx64.efi").write_text(name)
    (esp / "EFI/AZLA/grubx64.efi").write_bytes(b"x" * 40_000)
    try:
        set_fallback(esp, "volume-a", 0, "x64")
        said = None
    except NoSpaceError as error:
        said = error.message
    fallback = {path.name: path.read_text() for path in (esp / "EFI/BOOT").iterdir()}
print(json.dumps([said, fallback]))
""",
        tmp_path,
    )
    assert found == ["the ESP is full", {"bootx64.efi": "BOOT"}]


def test_the_room_that_files_take(esp: Path) -> None:
    (esp / "EFI/AZLB").mkdir()
    (esp / "EFI/AZLB/grubx64.efi").write_bytes(b"x" * 10_000)
    assert taken_by(esp, ["EFI/azlb"]) == taken_by(esp, ["EFI/AZLB/grubx64.efi"]) >= 10_000
    assert taken_by(esp, ["EFI/AZL"]) == taken_by(esp, []) == 0


def test_an_esp_that_cannot_be_written(image: Path) -> None:
    with pytest.raises(HostError):
        slot(Path("/proc/self"), image, "AZLA")
