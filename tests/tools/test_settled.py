"""Under SOURCE_DATE_EPOCH filesystems and converted images do not show when or how they were made."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.images import command
from tests.images.synthetic import small_base
from tests.tools.test_filesystems import make, partition

from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location
from twinroot.units import MIB

EPOCH = 1_700_000_000


def tree_at(directory: Path) -> Path:
    """A tree that is always the same but for the times at which it was written."""
    (directory / "d").mkdir(parents=True)
    for name in ("a", "d/b"):
        (directory / name).write_bytes(b"x" * 10_000)
    (directory / "link").symlink_to("a")
    (directory / "before-1970").write_text("old")
    for path in (*directory.rglob("*"), directory):
        moment = -500 if path.name == "before-1970" else 1_600_000_000
        os.utime(path, (moment, moment), follow_symlinks=False)
    return directory


@pytest.mark.parametrize("shrink", [False, True])
def test_same_filesystem_at_another_time(shrink: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    images = []
    for index in range(2):
        tree, image = tree_at(tmp_path / f"tree{index}"), tmp_path / f"{index}.img"
        make(partition("ext4", 32 * MIB), tree, image)
        if shrink:
            e2fsprogs.shrink(image)
        e2fsprogs.check(Location(image))
        images.append(image)
        time.sleep(1.1)  # the unit of times in ext4 superblocks
    assert images[0].read_bytes() == images[1].read_bytes()


def test_converted_image_without_an_id(tmp_path: Path) -> None:
    """The COSI file of an image that has no id of its own gets one of its bytes."""
    base = small_base(tmp_path / "base.raw", _with_grub)
    outputs = []
    for index in range(2):
        target = tmp_path / str(index) / "image.cosi"
        target.parent.mkdir()
        done = command("main", "convert", base, target, env={"SOURCE_DATE_EPOCH": str(EPOCH)})
        assert done.code == 0, done.stderr
        outputs.append(target.read_bytes())
        time.sleep(1.1)
    assert outputs[0] == outputs[1]


def _with_grub(root: Path) -> None:
    status = root / "var/lib/dpkg/status"
    package = "Package: grub-efi-amd64\nStatus: install ok installed\nVersion: 2\nArchitecture: amd64\n"
    status.write_text(status.read_text() + "\n" + package)
