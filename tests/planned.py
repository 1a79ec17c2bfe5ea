"""Disks planned from a real configuration, for tests of what uses plans."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from twinroot.config.load import load_image_config
from twinroot.plan.disk import PlannedDisk, plan_new_disk
from twinroot.plan.identity import Identity

IMAGE_ID = UUID("0f0e0d0c-0b0a-4908-8706-050403020100")
CONFIG = """\
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 1G
      partitions:
        - {id: esp, type: esp, size: 16M, label: ESP}
        - {id: boot, size: 128M}
        - {id: root, size: 512M, label: root label}
        - {id: spare, size: 64M}
        - {id: data, size: grow}
  filesystems:
    - {deviceId: data, type: ext4, mountPoint: {path: /var/lib/data, idType: uuid}}
    - {deviceId: root, type: ext4, mountPoint: {path: /, idType: part-label}}
    - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: umask=0077}}
    - {deviceId: boot, type: ext4, mountPoint: /boot}
os:
  bootloader:
    resetType: hard-reset
"""


def planned_disk(directory: Path, text: str = CONFIG, image_id: UUID = IMAGE_ID) -> PlannedDisk:
    """The disk that a configuration plans; its file goes into `directory`."""
    path = directory / "image.yaml"
    path.write_text(text)
    loaded = load_image_config(path)
    assert loaded.layout is not None
    storage = loaded.config.storage
    return plan_new_disk(loaded.layout, storage.filesystems, Identity(image_id), storage.boot_type)
