"""Filesystems that are nearly full when they are made, which somebody should know before a machine finds out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.synthetic import MIB
from tests.images.workplace import Workplace
from twinroot.builder.partitions import nearly_full

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("left", "size", "expected"),
    [
        (0, GIB, True),
        (51 * MIB, GIB, True),
        (52 * MIB, GIB, False),
        (500 * MIB, 20 * GIB, True),
        (501 * MIB, 20 * GIB, False),
        (4 * MIB, 8 * MIB, False),
    ],
)
def test_what_is_little(left: int, size: int, expected: bool) -> None:
    assert nearly_full(left, size) is expected


@pytest.mark.parametrize(("size", "warns"), [("55M", True), ("90M", False)])
def test_the_warning(small: Path, place: Workplace, size: str, warns: bool) -> None:
    (place.root / "filler").write_bytes(b"x" * 46 * MIB)
    config = f"""\
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 200M
      partitions: [{{id: esp, type: esp, size: 8M}}, {{id: root, size: {size}}}]
  filesystems:
    - {{deviceId: esp, type: fat32, mountPoint: /boot/efi}}
    - {{deviceId: root, type: ext4, mountPoint: /}}
os:
  bootloader: {{resetType: hard-reset}}
  additionalFiles: [{{source: filler, destination: /filler}}]
"""
    done = place.run(small, config)
    assert done.code == 0, done.stderr
    assert ("WARN" in done.stderr and "/ is nearly full" in done.stderr) is warns, done.stderr
