"""Unified kernels on an ESP: staged, named, tried, removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.efi_programs import efi_program

from twinroot.agent.boot import fat_files, kernels
from twinroot.agent.boot.ukis import STAGED
from twinroot.agent.errors import ServicingError
from twinroot.errors import FormatError

NAME = "vmlinuz-101-azlb0.efi"
KERNEL = efi_program({".linux": b"kernel", ".cmdline": b"root=UUID=1 quiet\0"})
IMAGE = {"EFI/Linux/vmlinuz-6.6.efi": KERNEL, "EFI/Linux/vmlinuz-6.6.efi.extra.d/verity.addon.efi": b"addon"}


def fill(root: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def content(root: Path) -> dict[str, bytes]:
    return {path: (root / path).read_bytes() for path in fat_files.all_files(root)}


@pytest.fixture
def esp(tmp_path: Path) -> Path:
    return fill(tmp_path / "esp", {"EFI/Linux/vmlinuz-100-azla0.efi": b"a"})


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return fill(tmp_path / "image", IMAGE)


def test_a_kernel_is_staged_and_named(esp: Path, image: Path) -> None:
    fill(image, {"EFI/Linux/vmlinuz-6.6.efi.extra.d/readme": b"no addon"})
    kernels.stage(esp, image)
    assert content(esp / "EFI/Linux") == {
        "vmlinuz-100-azla0.efi": b"a",
        STAGED: KERNEL,
        f"{STAGED}.extra.d/verity.addon.efi": b"addon",
    }
    assert (esp / "loader/entries.srel").read_bytes() == b"type1\n"
    for _ in range(2):  # a finalize that a power cut ended is repeated
        assert kernels.name_staged(esp, "volume-b", 0) == NAME
    assert content(esp / "EFI/Linux") == {
        "vmlinuz-100-azla0.efi": b"a",
        NAME: KERNEL,
        f"{NAME}.extra.d/verity.addon.efi": b"addon",
    }


def test_a_cut_between_addons_and_kernel_is_mended(esp: Path, image: Path) -> None:
    kernels.stage(esp, image)
    directory = esp / "EFI/Linux"
    (directory / f"{STAGED}.extra.d").rename(directory / f"{NAME}.extra.d")
    assert kernels.name_staged(esp, "volume-b", 0) == NAME
    assert content(directory)[f"{NAME}.extra.d/verity.addon.efi"] == b"addon"


def test_a_trial_has_an_entry_of_its_own(esp: Path) -> None:
    fill(esp, {f"EFI/Linux/{NAME}": KERNEL, f"EFI/Linux/{NAME}.extra.d/x.addon.efi": b"x"})
    kernels.begin_trial(esp, NAME)
    entry = esp / "loader/entries/vmlinuz-101-azlb0-trident-trial.conf"
    assert f"\nefi /EFI/Linux/{NAME}\noptions root=UUID=1 quiet trident.trial panic=10 " in entry.read_text()
    kernels.end_trial(esp, NAME)
    kernels.end_trial(esp, NAME)
    assert not entry.exists()
    kernels.begin_trial(esp, NAME)
    kernels.remove(esp, [NAME])
    assert content(esp) == {"EFI/Linux/vmlinuz-100-azla0.efi": b"a"}


def test_the_default_is_kept_beside_other_settings(esp: Path) -> None:
    fill(esp, {"loader/LOADER.CONF": b"timeout 3\n"})
    for name in ("a.efi", "b.efi"):
        kernels.set_default(esp, name)
    assert content(esp / "loader") == {"LOADER.CONF": b"timeout 3\ndefault b.efi\n"}


def test_what_cannot_start_is_not_staged(esp: Path, image: Path) -> None:
    assert kernels.needed(image) > len(KERNEL)
    with pytest.raises(ServicingError, match="no kernel is staged"):
        kernels.name_staged(esp, "volume-b", 0)
    fill(image, {"EFI/Linux/vmlinuz-6.6.efi": b"nothing"})
    with pytest.raises(FormatError, match="EFI program"):
        kernels.needed(image)
    (image / "EFI/Linux/vmlinuz-6.6.efi").unlink()
    with pytest.raises(ServicingError, match="0 unified kernel images"):
        kernels.stage(esp, image)
