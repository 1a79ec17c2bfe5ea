"""The steps on a mounted ESP: the directory of a slot, the firmware's fallback, room. `kernels` has those of kernels.

`esp` is the directory that the machine's ESP is mounted at, `image` one with the content of the image's. Callers take
the slot out of the firmware's order first (`boot_entries.disarm`), so that nothing starts a slot while it is written.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from twinroot.agent.boot import fat_files
from twinroot.agent.boot.esp_plan import FALLBACK, Copied, fallback_source, kept_files
from twinroot.agent.host_status import AbVolume
from twinroot.errors import HostError
from twinroot.units import KIB, round_up

log = logging.getLogger(__name__)

_CLUSTER = 32 * KIB  # bytes; FAT of the largest disks has clusters of that size
_STAT_BLOCK = 512  # bytes; stat(2) counts in these whatever the file system has
NEW_SLOT = "EFI/AZL.new"
"""What becomes the directory of a slot when it is complete."""


def place_slot(esp: Path, image: Path, label: str, files: Sequence[Copied]) -> None:
    """Make the directory of a slot anew; it is there with all its files, or not at all."""
    target = f"EFI/{label}"
    fat_files.make_directories(esp, "EFI")
    for stale in (target, NEW_SLOT):
        fat_files.remove(esp, stale)
    directory = fat_files.make_directories(esp, NEW_SLOT)
    try:
        for file in files:
            fat_files.copy_beside(image, file.source, directory, file.name)
            fat_files.rename_new(directory, file.name)
    except BaseException:
        fat_files.remove(esp, NEW_SLOT)
        raise
    fat_files.move(esp, NEW_SLOT, target)


def keep_fallback(esp: Path, label: str, *, uki: bool) -> bool:
    """Make the directory of a slot of what the firmware starts now, unless it is there; whether it was made.

    `uki`: systemd-boot started the system. HostError when there is nothing to copy.
    """
    there = fat_files.names(esp, fat_files.locate(esp, "EFI"))
    if label.lower() in (name.lower() for name in there):
        return False
    source = fat_files.locate(esp, FALLBACK)
    names = kept_files(fat_files.names(esp, source), uki=uki)
    if not names:
        hint = "is the EFI system partition mounted there? See: findmnt --fstab"
        raise HostError(f"there are no files in {FALLBACK}", where=str(esp), hint=hint)
    place_slot(esp, esp, label, [Copied(f"{source}/{name}", name) for name in names])
    return True


def remove_slot(esp: Path, label: str) -> None:
    """Take away the directory of a slot."""
    fat_files.remove(esp, f"EFI/{label}")


def room(esp: Path) -> int:
    """Bytes that are free on the ESP."""
    found = os.statvfs(esp)
    return found.f_bavail * found.f_frsize


def size_of(root: Path, files: Sequence[str]) -> int:
    """Bytes that files need on an ESP, each in whole clusters of the largest size, with the directories for them."""
    sizes = [(root / fat_files.locate(root, file)).stat().st_size for file in files]
    return sum(round_up(size, _CLUSTER) for size in sizes) + 2 * _CLUSTER


def taken_by(esp: Path, paths: Sequence[str]) -> int:
    """Bytes of the ESP that are free once these files and directories are gone; what is not there takes none."""
    files = fat_files.all_files(esp)
    gone = tuple(fat_files.locate(esp, path) for path in paths)
    found = [file for file in files if any(file == path or file.startswith(f"{path}/") for path in gone)]
    return sum((esp / file).stat().st_blocks * _STAT_BLOCK for file in found)


def set_fallback(esp: Path, volume: AbVolume, install_index: int, efi_arch: str) -> bool:
    """Copy a slot's files to where the firmware looks when it has no boot entries; whether anything changed.

    All are written before the first gets its name, and the loader gets its name last.
    """
    source = fallback_source(fat_files.names(esp, fat_files.locate(esp, "EFI")), volume, install_index)
    if source is None:
        return False
    path = fat_files.locate(esp, f"EFI/{source}")
    files = [name for name in fat_files.names(esp, path) if not name.endswith((fat_files.NEW, ".old"))]
    files.sort(key=lambda name: (name.lower() == f"boot{efi_arch}.efi", name))
    target = fat_files.make_directories(esp, FALLBACK)
    there = {name.lower(): name for name in fat_files.names(esp, fat_files.locate(esp, FALLBACK))}
    changed = [
        (name, there.get(name.lower(), name))
        for name in files
        if not fat_files.same_content(esp, f"{path}/{name}", target / there.get(name.lower(), name))
    ]
    try:
        for name, new_name in changed:
            fat_files.copy_beside(esp, f"{path}/{name}", target, new_name)
        for _, new_name in changed:
            fat_files.rename_new(target, new_name)
    finally:
        for name in files:
            # The peer leaves .old behind, too, when power fails.
            for ending in (fat_files.NEW, ".old"):
                fat_files.remove(esp, f"{FALLBACK}/{name}{ending}")
    if changed:
        log.info("The firmware's fallback starts %s", source)
    return bool(changed)
