"""FAT filesystems through mtools: every name, case and content comes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinroot.tools import blkid, fat
from twinroot.tools.run import run
from twinroot.units import MIB

NAMES = (
    "EFI/BOOT/BOOTX64.EFI",
    "EFI/BOOT/grub.cfg",
    "efi2/debian/shimx64.efi",
    "loader/entries/a-very-long-name-with-version-6.1.0.conf",
    "MiXed.TxT",
    "README",
    "lower",
    "UPPER.txt",
    "lower.TXT",
    "two words.cfg",
    "a+b=c,d;e.cfg",
    "ünï cödé.txt",
    "[x].txt",
    "[x]/[y]/g",
    "x/[y/h[1]",
    "x~1.txt",
    "deep/a/b/c/d/e.f",
    ".hidden",
    "two..dots",
    "many.dots.in.it",
    "-x",
    "$dollar's",
)


def names_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def make_tree(tree: Path) -> Path:
    for name in NAMES:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() + b"\x00\xff")
        os.utime(path, (1_200_000_000, 1_200_000_000))
    (tree / "empty").mkdir()
    (tree / "nothing").touch()
    return tree


@pytest.mark.parametrize("size", [4 * MIB, 64 * MIB, 600 * MIB], ids=["FAT12", "FAT16", "FAT32"])
def test_round_trip(tmp_path: Path, size: int) -> None:
    tree = make_tree(tmp_path / "a tree")
    image = tmp_path / "image, of: FAT"
    fat.make(image, size, volume_id="1A2B-3C4D", label="ESP", tree=tree)
    assert image.stat().st_size == size
    fat.extract(image, 0, tmp_path / "out")
    assert names_below(tmp_path / "out") == names_below(tree)
    for name in NAMES:
        copy = tmp_path / "out" / name
        assert copy.read_bytes() == name.encode() + b"\x00\xff", name
        assert int(copy.stat().st_mtime) == 1_200_000_000, name
    run(["fsck.fat", "-n", image])


def test_volume_id_and_label(tmp_path: Path) -> None:
    fat.make(tmp_path / "image", 8 * MIB, volume_id="00AB-0C4D", label="my label")
    found = blkid.probe(tmp_path / "image")
    assert (found.type, found.uuid, found.label) == ("vfat", "00AB-0C4D", "my label")


def test_empty_filesystem_and_empty_tree(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    fat.make(tmp_path / "image", 8 * MIB, volume_id="1A2B-3C4D", tree=tmp_path / "tree")
    fat.extract(tmp_path / "image", 0, tmp_path / "out")
    assert names_below(tmp_path / "out") == []
    assert fat.list_files(tmp_path / "image", 0) == []


def test_reading_at_an_offset(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    fat.make(tmp_path / "image", 8 * MIB, volume_id="1A2B-3C4D", tree=tree)
    with (tmp_path / "disk").open("wb") as disk:
        disk.seek(5 * MIB)
        disk.write((tmp_path / "image").read_bytes())
    disk_path = tmp_path / "disk"
    assert fat.read_file(disk_path, 5 * MIB, "/efi/boot/GRUB.CFG") == b"EFI/BOOT/grub.cfg\x00\xff"
    assert fat.read_file(disk_path, 5 * MIB, "/EFI/BOOT/none") is None
    assert fat.list_files(disk_path, 5 * MIB) == sorted("/" + name for name in (*NAMES, "nothing"))
    fat.extract(disk_path, 5 * MIB, tmp_path / "out")
    assert names_below(tmp_path / "out") == names_below(tree)


def test_order_and_times_do_not_depend_on_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trees whose directories were filled in different orders give the same bytes."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    names = [f"d/{number:02}/file" for number in range(20)] + [f"d/{number:02}.txt" for number in range(20)]
    images = []
    for index, order in enumerate((names, names[::-1])):
        tree = tmp_path / f"tree{index}"
        for name in order:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(name)
        for path in sorted(tree.rglob("*"), reverse=True):
            os.utime(path, (1_600_000_000, 1_600_000_000))
        images.append(tmp_path / f"{index}.img")
        fat.make(images[-1], 8 * MIB, volume_id="1A2B-3C4D", tree=tree)
    assert images[0].read_bytes() == images[1].read_bytes()
