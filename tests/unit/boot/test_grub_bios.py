"""What the core image for BIOS machines is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.planned import planned_disk
from tests.unit.boot.test_grub import AZURE3, BTRFS, DEBIAN

from twinroot.boot.grub_bios import core_modules, early_configuration

LEGACY = """
storage:
  bootType: legacy
  disks:
    - {partitionTableType: gpt, maxSize: 1G, partitions: [{id: b, type: bios-grub, size: 1M}, {id: os, size: grow}]}
  filesystems: [{deviceId: os, type: xfs, mountPoint: /}]
os: {bootloader: {resetType: hard-reset}}
"""

BOTH = """
storage:
  bootType: legacy
  disks:
    - partitionTableType: gpt
      maxSize: 1G
      partitions: [{id: b, type: bios-grub, size: 1M}, {id: e, type: esp, size: 8M}, {id: os, size: grow}]
  filesystems:
    - {deviceId: e, type: fat32, mountPoint: /boot/efi}
    - {deviceId: os, type: ext4, mountPoint: /}
os: {bootloader: {resetType: hard-reset}}
"""


def test_the_boot_type_decides_where_there_are_partitions_for_both(tmp_path: Path) -> None:
    legacy = planned_disk(tmp_path, BOTH)
    assert legacy.esp is legacy.partitions[1]
    assert legacy.bios_boot is legacy.partitions[0]
    assert planned_disk(tmp_path, BOTH.replace("legacy", "efi")).bios_boot is None
    assert replace(legacy, boot_type=None).bios_boot is None, "as a kept layout has it"


def test_the_core_finds_boot(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path, LEGACY)
    boot = disk.mount_of(AZURE3.directory)
    assert disk.bios_boot is disk.partitions[0] and boot.partition.filesystem
    assert core_modules(boot) == ["biosdisk", "part_gpt", "xfs", "search_fs_uuid"]
    uuid = boot.partition.filesystem.uuid
    assert early_configuration(boot, AZURE3) == f"search.fs_uuid {uuid} root\nset prefix=($root)'/boot/grub2'\n"


def test_subvolumes_and_disks_for_efi(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path, BTRFS)
    assert disk.bios_boot is None
    assert early_configuration(disk.mount_of("/boot"), DEBIAN).endswith("set prefix=($root)'/root/boot/grub'\n")
