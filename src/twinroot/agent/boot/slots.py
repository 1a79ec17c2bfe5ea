"""The boot side of servicing, in the order that a power cut at any point asks for (servicing spec, sections 7 to 11).

    withdraw ─▶ (images are written) ─▶ place ─▶ arm ─▶ reboot ─▶ commit

`withdraw` comes before the first byte of a slot is overwritten, and `arm` after its last is on the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.agent.boot import boot_entries, esp, fat_files, ukis
from twinroot.agent.boot.boot_entries import label_of, loader_of, read_boot_variables
from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.boot.esp_plan import FALLBACK, FallbackMode, Moment, boot_files, efi_architecture, fallback_slot
from twinroot.agent.boot.grub_target import end_trial
from twinroot.agent.host_status import AbVolume
from twinroot.errors import NoSpaceError
from twinroot.formats.efi_boot import HardDrive
from twinroot.units import exact

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BootSide:
    """What of a machine starts it. `esp` is where its ESP is mounted; `architecture` is x86_64 or arm64.

    `uki`: the image starts by unified kernels. `keep_order`: the order of boot entries changes at the commit only, for
    firmware that mixes it up itself.
    """

    esp: Path
    architecture: str
    variables: EfiVariables
    fallback: FallbackMode = "conservative"
    install_index: int = 0
    uki: bool = False
    keep_order: bool = False

    def label(self, volume: AbVolume) -> str:
        """The name of a slot."""
        return label_of(volume, self.install_index)


def withdraw(side: BootSide, target: AbVolume, active: AbVolume | None) -> None:
    """Nothing starts the slot any more that is about to be overwritten, nor finds anything of it to go back to."""
    side.variables.carry_out(boot_entries.disarm(read_boot_variables(side.variables), side.label(target)))
    stale = esp.stale_kernels(side.esp, target, active, side.install_index) if side.uki else ()
    if side.uki:
        side.variables.carry_out(ukis.release(side.variables.read(ukis.ONE_SHOT), stale))
    # What the fallback starts does not need the slot's files, and a small ESP needs their room.
    esp.remove_slot(side.esp, side.label(target), stale)
    _fall_back(side, Moment.STAGE, active, target)


def check_room(side: BootSide, image: Path, *, any_grub: bool = False) -> None:
    """Whether `place` will find what it needs in the image and room on the ESP; NoSpaceError or ServicingError if not.

    What builders put beside grub for us makes room: nothing starts it under that name.
    """
    files = boot_files(fat_files.all_files(image), side.architecture, uki=side.uki, any_grub=any_grub)
    needed = esp.size_of(image, [file.source for file in files])
    if side.uki:
        needed += esp.kernel_size(image)
    if esp.room(side.esp) < needed:
        fat_files.remove(side.esp, f"{FALLBACK}/grub{efi_architecture(side.architecture)}-noprefix.efi")
    free = esp.room(side.esp)
    if free < needed:
        message = f"the ESP has {exact(free)} left, but the boot files of the new system need {exact(needed)}"
        raise NoSpaceError(message, hint="remove files from it that nobody needs, or make the partition larger")


def place(side: BootSide, image: Path, target: AbVolume, active: AbVolume | None, *, any_grub: bool = False) -> None:
    """Put the boot files of the image's ESP, which is mounted or unpacked at `image`, where the slot has its own."""
    files = boot_files(fat_files.all_files(image), side.architecture, uki=side.uki, any_grub=any_grub)
    if side.uki:
        esp.stage_kernel(side.esp, image, esp.stale_kernels(side.esp, target, active, side.install_index))
    esp.place_slot(side.esp, image, side.label(target), files)


def arm(
    side: BootSide, target: AbVolume, active: AbVolume | None, partitions: Sequence[HardDrive], *, install: bool
) -> None:
    """The slot starts next time: for good where the machine is installed, else only once until the commit.

    `partitions` are those that hold the ESP, several where it is mirrored.
    """
    if side.uki:
        if not install:
            read = side.variables.read
            side.variables.carry_out(ukis.pin(read(ukis.DEFAULT), read(ukis.SELECTED)))
        name = esp.name_kernel(side.esp, target, side.install_index)
        side.variables.carry_out(ukis.choose(name, lasting=install))
    _start_next(side, target, partitions, lasting=install)
    _fall_back(side, Moment.INSTALL_FINALIZE if install else Moment.UPDATE_FINALIZE, active, target)


def arm_rollback(side: BootSide, target: AbVolume, active: AbVolume, partitions: Sequence[HardDrive]) -> None:
    """The slot of before starts next time, and from then on."""
    if side.uki:
        there = fat_files.names(side.esp, fat_files.locate(side.esp, ukis.DIRECTORY))
        # By its slot where it has one: the newest but one is another's when a machine goes back and forth.
        name = ukis.newest(there, target, side.install_index) or ukis.previous(there)
        side.variables.carry_out(ukis.choose(name, lasting=True))
    now = read_boot_variables(side.variables)
    changes = boot_entries.arm_existing(now, side.label(target), keep_order=side.keep_order)
    if changes:
        side.variables.carry_out(changes)
    else:
        _start_next(side, target, partitions, lasting=True)
    _fall_back(side, Moment.ROLLBACK_FINALIZE, active, target)


def commit(side: BootSide, volume: AbVolume, *, reorder: bool) -> None:
    """The slot that was started, and proved well, starts from now on. `reorder`: it was armed for one start only."""
    if reorder or side.keep_order:
        side.variables.carry_out(boot_entries.promote_current(read_boot_variables(side.variables)))
    if side.uki:
        side.variables.carry_out(ukis.promote(side.variables.read(ukis.SELECTED)))
    end_trial(side.esp, side.label(volume))
    try:
        _fall_back(side, Moment.COMMIT, volume, volume)
    except NoSpaceError as error:
        # It starts the system before this one still, which is whole, until the next update sees to it first.
        log.warning("What the firmware falls back to stays as it was: %s", error)


def _start_next(side: BootSide, target: AbVolume, partitions: Sequence[HardDrive], *, lasting: bool) -> None:
    label = side.label(target)
    loader = loader_of(label, efi_architecture(side.architecture))
    now = read_boot_variables(side.variables)
    changes = boot_entries.arm(now, label, loader, partitions, lasting=lasting, keep_order=side.keep_order)
    side.variables.carry_out(changes)


def _fall_back(side: BootSide, moment: Moment, active: AbVolume | None, target: AbVolume) -> None:
    volume = fallback_slot(side.fallback, moment, active, target)
    if volume is not None:
        esp.set_fallback(side.esp, volume, side.install_index, efi_architecture(side.architecture))
