"""The steps on a mounted ESP: the directory of a slot, unified kernels, the firmware's fallback.

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
from twinroot.agent.boot.ukis import ADDONS, DIRECTORY, STAGED, final_name, newest, only_uki, outdated
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.errors import HostError
from twinroot.units import KIB, round_up

log = logging.getLogger(__name__)

_CLUSTER = 32 * KIB  # bytes; FAT of the largest disks has clusters of that size
_NEW_SLOT = "EFI/AZL.new"
_TYPE_ONE = "loader/entries.srel"


def place_slot(esp: Path, image: Path, label: str, files: Sequence[Copied]) -> None:
    """Make the directory of a slot anew; it is there with all its files, or not at all."""
    target = f"EFI/{label}"
    fat_files.make_directories(esp, "EFI")
    for stale in (target, _NEW_SLOT):
        fat_files.remove(esp, stale)
    directory = fat_files.make_directories(esp, _NEW_SLOT)
    try:
        for file in files:
            fat_files.copy_beside(image, file.source, directory, file.name)
            fat_files.rename_new(directory, file.name)
    except BaseException:
        fat_files.remove(esp, _NEW_SLOT)
        raise
    fat_files.move(esp, _NEW_SLOT, target)


def keep_fallback(esp: Path, label: str) -> bool:
    """Make the directory of a slot of what the firmware starts now, unless it is there; whether it was made.

    HostError when there is nothing to copy.
    """
    there = fat_files.names(esp, fat_files.locate(esp, "EFI"))
    if label.lower() in (name.lower() for name in there):
        return False
    source = fat_files.locate(esp, FALLBACK)
    names = kept_files(fat_files.names(esp, source))
    if not names:
        hint = "is the EFI system partition mounted there? See: findmnt --fstab"
        raise HostError(f"there are no files in {FALLBACK}", where=str(esp), hint=hint)
    place_slot(esp, esp, label, [Copied(f"{source}/{name}", name) for name in names])
    return True


def remove_slot(esp: Path, label: str, kernels: Sequence[str]) -> None:
    """Take away the directory of a slot, and its kernels; no variable may name them then (`ukis.release`)."""
    _remove_kernels(esp, kernels)
    fat_files.remove(esp, f"EFI/{label}")


def room(esp: Path) -> int:
    """Bytes that are free on the ESP."""
    found = os.statvfs(esp)
    return found.f_bavail * found.f_frsize


def size_of(image: Path, files: Sequence[str]) -> int:
    """Bytes that files of an image take on an ESP, each in whole clusters, with the directories that hold them."""
    sizes = [(image / fat_files.locate(image, file)).stat().st_size for file in files]
    return sum(round_up(size, _CLUSTER) for size in sizes) + 2 * _CLUSTER


def kernel_size(image: Path) -> int:
    """Bytes that the unified kernel of an image takes, with its addons."""
    source = fat_files.locate(image, DIRECTORY)
    kernel = only_uki(fat_files.names(image, source))
    addons = fat_files.locate(image, f"{source}/{kernel}{ADDONS}")
    return size_of(image, [f"{source}/{kernel}", *(f"{addons}/{name}" for name in fat_files.names(image, addons))])


def stale_kernels(esp: Path, target: AbVolume, active: AbVolume | None, install_index: int) -> tuple[str, ...]:
    """The kernels that `stage_kernel` removes: no variable may name them then (`ukis.release`)."""
    return outdated(fat_files.names(esp, fat_files.locate(esp, DIRECTORY)), target, active, install_index)


def stage_kernel(esp: Path, image: Path, stale: Sequence[str]) -> None:
    """Put the image's kernel and its addons onto the ESP, under a name that nothing starts."""
    source = fat_files.locate(image, DIRECTORY)
    kernel = only_uki(fat_files.names(image, source))
    directory = fat_files.make_directories(esp, DIRECTORY)
    _remove_kernels(esp, stale)
    for name in (STAGED, f"{STAGED}{fat_files.NEW}", f"{STAGED}{ADDONS}"):
        fat_files.remove(esp, f"{DIRECTORY}/{name}")
    addons = fat_files.locate(image, f"{source}/{kernel}{ADDONS}")
    for name in fat_files.names(image, addons):
        if name.lower().endswith(".addon.efi"):
            place = fat_files.make_directories(esp, f"{DIRECTORY}/{STAGED}{ADDONS}")
            fat_files.copy_beside(image, f"{addons}/{name}", place, name)
            fat_files.rename_new(place, name)
    _say_that_entries_have_files(esp)
    fat_files.copy_beside(image, f"{source}/{kernel}", directory, STAGED)
    fat_files.rename_new(directory, STAGED)


def name_kernel(esp: Path, volume: AbVolume, install_index: int) -> str:
    """Give the staged kernel the name by which it can start, and return that; its addons come first.

    Where nothing is staged any more, a finalize is repeated: staging left the slot no kernel but that one.
    ServicingError if there is none.
    """
    there = fat_files.names(esp, fat_files.locate(esp, DIRECTORY))
    if STAGED not in there:
        named = newest(there, volume, install_index)
        if named:
            return named
        message = f"no kernel is staged on the ESP ({DIRECTORY}/{STAGED} is missing)"
        raise ServicingError("find-staged-file", message, hint="stage the update again")
    name = final_name(there, volume, install_index)
    if f"{STAGED}{ADDONS}" in there:
        fat_files.remove(esp, f"{DIRECTORY}/{name}{ADDONS}")
        fat_files.move(esp, f"{DIRECTORY}/{STAGED}{ADDONS}", f"{DIRECTORY}/{name}{ADDONS}")
    fat_files.move(esp, f"{DIRECTORY}/{STAGED}", f"{DIRECTORY}/{name}")
    return name


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


def _remove_kernels(esp: Path, kernels: Sequence[str]) -> None:
    for name in kernels:
        fat_files.remove(esp, f"{DIRECTORY}/{name}")
        fat_files.remove(esp, f"{DIRECTORY}/{name}{ADDONS}")


def _say_that_entries_have_files(esp: Path) -> None:
    """loader/entries.srel, by which tools know how entries are written (Boot Loader Specification)."""
    if not fat_files.names(esp, fat_files.locate(esp, _TYPE_ONE.rpartition("/")[0])).count("entries.srel"):
        directory = fat_files.make_directories(esp, "loader")
        fat_files.write_beside(directory, "entries.srel", b"type1\n")
        fat_files.rename_new(directory, "entries.srel")
