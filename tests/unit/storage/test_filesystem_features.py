"""Features of filesystems by the programs of the host: what is not wanted is off, what is not known is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.planned import planned_disk
from tests.unit.boot.test_grub import BTRFS

from twinroot.distro.distro import recognise
from twinroot.storage.fstab import render
from twinroot.tools import btrfs, xfs

MODERN = "crc=1,finobt=1,rmapbt=1,reflink=1,inobtcount=1,bigtime=1"
NEW_XFS = "[-m crc=0|1,finobt=0|1,uuid=x,rmapbt=0|1,reflink=0|1,inobtcount=0|1,bigtime=0|1] [-i sparse=0|1,nrext64=0|1]"
OLD_XFS = "[-m crc=0|1,finobt=0|1,uuid=x,rmapbt=0|1,reflink=0|1] [-i sparse=0|1]"


@pytest.mark.parametrize(
    ("release", "boot", "usage", "expected"),
    [
        (("azurelinux", "3.0"), False, NEW_XFS, f"{MODERN} sparse=1,nrext64=1"),
        (("azurelinux", "3.0"), True, NEW_XFS, f"{MODERN} sparse=1,nrext64=0"),
        (("azurelinux", "4.0"), True, NEW_XFS, f"{MODERN} sparse=1,nrext64=1"),
        (("mariner", "2.0"), False, OLD_XFS, "crc=1,finobt=1,rmapbt=1,reflink=1 sparse=1"),
        (("ubuntu", "22.04"), False, NEW_XFS,
            "crc=1,finobt=1,rmapbt=0,reflink=1,inobtcount=0,bigtime=0 sparse=1,nrext64=0"),
        (("debian", "12"), True, NEW_XFS, f"{MODERN} sparse=1,nrext64=0"),
    ],
)  # fmt: skip
def test_xfs(release: tuple[str, str], boot: bool, usage: str, expected: str) -> None:
    features = recognise({"ID": release[0], "VERSION_ID": release[1]}).features("xfs", boot=boot)
    metadata, inodes = expected.split()
    assert xfs.feature_options(features, usage) == ["-m", metadata, "-i", inodes]


OLD = """Filesystem features available:
extref              - increased hardlink limit (compat=3.7, safe=3.12, default=3.12)
skinny-metadata     - reduced-size metadata extent refs (compat=3.10, safe=3.18, default=3.18)
no-holes            - no explicit hole extents for files (compat=3.14, safe=4.0, default=5.15)
zoned               - support zoned devices (compat=5.12)
"""
RUNTIME = "quota - quota support (compat=3.4)\nfree-space-tree - free space tree (compat=4.5, safe=4.9, default=5.15)\n"
NEW = OLD + RUNTIME + "block-group-tree - block group tree (compat=6.1, safe=6.1, default=6.19)\n"


@pytest.mark.parametrize(
    ("release", "listings", "expected"),
    [
        (("debian", "12"), {"-O": OLD, "-R": RUNTIME},
            ["-O", "extref,skinny-metadata,no-holes", "-R", "free-space-tree"]),
        (("ubuntu", "22.04"), {"-O": OLD, "-R": RUNTIME},
            ["-O", "extref,skinny-metadata,no-holes", "-R", "^free-space-tree"]),
        (("azurelinux", "3.0"), {"-O": NEW, "-R": RUNTIME},
            ["-O", "extref,skinny-metadata,no-holes,free-space-tree,^block-group-tree"]),
    ],
)  # fmt: skip
def test_btrfs(release: tuple[str, str], listings: dict[str, str], expected: list[str]) -> None:
    features = recognise({"ID": release[0], "VERSION_ID": release[1]}).features("btrfs", boot=False)
    assert btrfs.feature_options(features, listings) == expected


def test_fstab_names_subvolumes(tmp_path: Path) -> None:
    lines = [line.split(" ", 1)[1] for line in render(planned_disk(tmp_path, BTRFS)).splitlines()]
    assert lines == [
        "/ btrfs subvol=/root 0 1",
        "/boot/efi vfat defaults 0 2",
        "/home btrfs subvol=/root/it's\\040home,noatime 0 2",
    ]
