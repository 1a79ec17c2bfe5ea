"""blkid's probing of regions of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.tools import blkid
from twinroot.tools.run import run
from twinroot.units import MIB

UUID = "11111111-2222-4333-8444-555555555555"


def disk_with(tmp_path: Path, label: str) -> Path:
    image, disk = tmp_path / "image", tmp_path / "disk"
    image.write_bytes(bytes(4 * MIB))
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-U", UUID, "-L", label, image])
    disk.write_bytes(bytes(2 * MIB) + image.read_bytes() + bytes(MIB))
    return disk


@pytest.mark.parametrize(
    "label", ["plain", "two words", "q\"uo'te", "back\\slash", "dollar$", "ünïcödé", "a=b", "\\x20"]
)
def test_labels_come_back_as_they_are(tmp_path: Path, label: str) -> None:
    found = blkid.probe(disk_with(tmp_path, label), 2 * MIB, 4 * MIB)
    assert found == blkid.Probe("ext4", UUID, label, "filesystem")


def test_nothing_is_recognised_in_zeros(tmp_path: Path) -> None:
    assert blkid.probe(disk_with(tmp_path, "x"), 0, 2 * MIB) == blkid.Probe(None, None, None, None)


def test_no_label(tmp_path: Path) -> None:
    assert blkid.probe(disk_with(tmp_path, ""), 2 * MIB).label is None
