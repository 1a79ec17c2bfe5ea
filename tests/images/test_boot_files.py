"""What images carry for the boot files of A/B slots, by the agent's own plan; and for firmware without boot entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.ab_images import BASES, ab_image
from twinroot.agent.boot import fat_files
from twinroot.agent.boot.esp import place_slot
from twinroot.agent.boot.esp_plan import boot_files
from twinroot.agent.boot.grub_target import settle_stub
from twinroot.tools import fat
from twinroot.units import MIB

pytestmark = pytest.mark.images

UUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize("kind", BASES)
def test_images_have_the_boot_files_of_a_slot(tmp_path: Path, kind: str) -> None:
    image = ab_image(kind, tmp_path / "image")
    files = image.unpack_esp(tmp_path / "files")
    there = {path.lower(): path for path in fat_files.all_files(files)}
    # The image starts by itself, too: firmware without boot entries, shim, and grub beside it.
    assert {"efi/boot/bootx64.efi", "efi/boot/grubx64.efi"} <= set(there)
    plain = (files / there["efi/boot/grubx64-noprefix.efi"]).read_bytes()
    assert b"/boot/grub" not in plain and b"/EFI/" not in plain
    esp = tmp_path / "esp"
    esp.mkdir()
    for label in ("AZLA", "AZLB"):
        place_slot(esp, files, label, boot_files(there.values(), "x86_64", uki=False))
        settle_stub(esp, label, UUID, on_trial=False)
        assert sorted(path.name for path in (esp / "EFI" / label).iterdir()) == [
            "bootx64.efi",
            "grub.cfg",
            "grubx64.efi",
        ]
        assert (esp / "EFI" / label / "grubx64.efi").read_bytes() == plain
        assert f" {UUID}\n" in (esp / "EFI" / label / "grub.cfg").read_text()
    # Both slots fit beside what the image brings.
    needed = sum(path.stat().st_size for path in esp.rglob("*.*"))
    free = fat.free_bytes(image.path, MIB)
    assert free is not None and needed < free
