"""Customising onto xfs and btrfs, and what such a run needs."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.images.synthetic import MIB
from tests.images.workplace import Workplace

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount filesystems for writing"),
]

CONFIG = """\
previewFeatures: [btrfs]
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 1200M
      partitions:
        - {id: esp, type: esp, size: 16M}
        - {id: root, type: root, label: rooty, size: 400M}
        - {id: swap, type: swap, label: swap, size: 32M}
        - {id: spare, size: 16M, type: 12345678-1234-4234-8234-123456789abc}
        - {id: var, type: var, size: grow}
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, idType: uuid}}
    - {deviceId: root, type: xfs, mountPoint: {path: /, idType: part-label}}
    - {deviceId: spare}
    - deviceId: var
      type: btrfs
      btrfs:
        subvolumes:
          - {path: var, mountPoint: /var, quota: {referencedLimit: 300M}}
          - {path: var/log, mountPoint: {path: /var/log, options: noatime}}
          - {path: snapshots}
os:
  bootloader: {resetType: hard-reset}
"""
SCRIPT = """
set -e
mount -o ro,loop,offset=$((17 * 1048576)),sizelimit=$((400 * 1048576)),norecovery "$1" "$2"
cat "$2/etc/fstab"; cat "$2/boot/grub/grub.cfg"; ls -A "$2/var"
mount -o ro,loop,offset=$((465 * 1048576)),subvol=var "$1" "$2/var"
cat "$2/var/lib/dpkg/status"; ls -A "$2/var/log"
"""


def test_a_root_on_xfs_and_subvolumes_of_btrfs(small: Path, place: Workplace, tmp_path: Path) -> None:
    image = place.succeeds(small, CONFIG)
    (tmp_path / "mount").mkdir()
    shown = subprocess.run(
        ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", image, tmp_path / "mount"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["PARTLABEL=rooty", "/", "xfs", "defaults", "0", "1"]
    assert lines[1][0].startswith("UUID=") and lines[1][1:] == ["/boot/efi", "vfat", "defaults", "0", "2"]
    assert lines[2][1:] == ["/var", "btrfs", "subvol=/var", "0", "2"]
    assert lines[3][1:] == ["/var/log", "btrfs", "subvol=/var/log,noatime", "0", "2"]
    assert lines[2][0] == lines[3][0] and lines[2][0].startswith("PARTUUID=")
    assert "Package: base-files" in shown
    table = json.loads(subprocess.run(["sfdisk", "--json", image], capture_output=True, check=True).stdout)
    types = [partition["type"] for partition in table["partitiontable"]["partitions"]]
    assert types[2:] == [
        "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
        "12345678-1234-4234-8234-123456789ABC",
        "4D21B016-B534-45C2-A9FB-5C16E091FD2D",
    ]
    with image.open("rb") as disk:
        disk.seek(417 * MIB)
        area = disk.read(32 * MIB)
        assert area[4086:4096] == b"SWAPSPACE2" and area.count(0) > 32 * MIB - 64, "ready to be turned on"
        assert not any(disk.read(16 * MIB)), "what has no filesystem is empty"


def test_as_cosi(small: Path, place: Workplace) -> None:
    image = place.succeeds(small, CONFIG, output_format="cosi")
    with tarfile.open(image) as cosi:
        member = cosi.extractfile("metadata.json")
        assert member is not None
        metadata = json.load(member)
    shown = [(entry["mountPoint"], entry["fsType"]) for entry in metadata["images"]]
    assert shown == [("/", "xfs"), ("/boot/efi", "vfat"), ("/var", "btrfs")]
    assert len(metadata["disk"]["gptRegions"]) == 6


def test_a_missing_program_is_told_before_any_work(small: Path, place: Workplace, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for directory in ("/usr/bin", "/usr/sbin"):
        for program in Path(directory).iterdir():
            if program.name != "mkfs.xfs" and not (tools / program.name).exists():
                (tools / program.name).symlink_to(program)
    says = ["the program 'mkfs.xfs' is not installed", "apt-get install xfsprogs"]
    place.fails(small, CONFIG, env={"TWINROOT_TOOL_PATH": str(tools)}, says=says)
    assert not place.build.exists()


EXT4 = """\
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 300M
      partitions: [{id: esp, type: esp, size: 16M}, {id: root, size: grow}]
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
    - {deviceId: root, type: ext4, mountPoint: /}
os: {hostname: again, bootloader: {resetType: hard-reset}}
"""


def _debugfs(image: Path, command: str) -> str:
    return subprocess.run(
        ["debugfs", "-R", command, f"{image}?offset={17 * MIB}"], capture_output=True, text=True, check=True
    ).stdout


def test_a_base_on_xfs_and_btrfs_is_read(small: Path, place: Workplace, tmp_path: Path) -> None:
    base = place.succeeds(small, CONFIG).rename(tmp_path / "base.raw")
    before = base.read_bytes()
    image = place.succeeds(base, EXT4)
    assert base.read_bytes() == before
    assert _debugfs(image, "cat /etc/hostname") == "again"
    assert "Package: base-files" in _debugfs(image, "cat /var/lib/dpkg/status")
    assert " apt" in _debugfs(image, "ls /var/log")
    subprocess.run(["e2fsck", "-f", "-n", f"{image}?offset={17 * MIB}"], check=True, capture_output=True)


ON_BTRFS = EXT4.replace("300M", "500M").replace(
    "type: ext4, mountPoint: /}",
    "type: btrfs, btrfs: {subvolumes: [{path: '@', mountPoint: /}, {path: '@home', mountPoint: /home}]}}",
)


def test_a_base_with_its_root_in_a_subvolume_is_read(small: Path, place: Workplace, tmp_path: Path) -> None:
    base = place.succeeds(small, "previewFeatures: [btrfs]\n" + ON_BTRFS).rename(tmp_path / "base.raw")
    image = place.succeeds(base, EXT4)
    assert "Package: base-files" in _debugfs(image, "cat /var/lib/dpkg/status")
    image.unlink()
    place.fails(base, "os: {hostname: kept}", says=["mounted at /", "is btrfs, which cannot be rebuilt"])


def test_a_kept_disk_with_xfs_is_made_again(small: Path, place: Workplace, tmp_path: Path) -> None:
    text = EXT4.replace("ext4", "xfs").replace("300M", "500M")
    base = place.succeeds(small, text).rename(tmp_path / "base.raw")
    image = place.succeeds(base, "os: {hostname: kept}")
    uuids = set()
    for disk in (base, image):
        found = subprocess.run(
            ["blkid", "-p", "--offset", str(17 * MIB), "--size", str(482 * MIB), "-o", "value", "-s", "UUID", disk],
            capture_output=True, check=True,
        ).stdout  # fmt: skip
        uuids.add(found)
    assert len(uuids) == 1
