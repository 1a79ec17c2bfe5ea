"""The boot side of servicing, in the order that a power cut at any point asks for (servicing spec, sections 7 to 11).

    check ─▶ withdraw ─▶ (images are written) ─▶ place ─▶ arm ─▶ reboot ─▶ commit

`check` comes before anything changes, `withdraw` before the first byte of a slot is overwritten, and `arm` after its
last is on the disk. Each slot starts by grub or by a unified kernel, and an update may go from one to the other: boot
entries choose the loader of a slot, and among unified kernels, of which every systemd-boot sees all, its variables do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinroot.agent.boot import boot_entries, esp, fat_files, kernels, ukis
from twinroot.agent.boot.boot_entries import label_of, loader_of, read_boot_variables
from twinroot.agent.boot.efi_variables import EfiVariables, Variable
from twinroot.agent.boot.esp_plan import (
    FALLBACK,
    Copied,
    FallbackMode,
    Moment,
    boot_files,
    efi_architecture,
    fallback_slot,
)
from twinroot.agent.boot.grub_target import end_trial
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.errors import NoSpaceError, TwinrootError
from twinroot.formats.efi_boot import HardDrive
from twinroot.units import exact

log = logging.getLogger(__name__)

# When the fallback starts a whole system, whether it changes or not.
_LEAVES_IT_WHOLE = (Moment.UPDATE_FINALIZE, Moment.COMMIT, Moment.ROLLBACK_FINALIZE)
_SECURE_BOOT = Variable("SecureBoot")
_ROOM = "remove files from it that nobody needs, or make the partition larger"


@dataclass(frozen=True)
class BootSide:
    """What of a machine starts it. `esp` is where its ESP is mounted; `architecture` is x86_64 or arm64.

    `keep_order`: the order of boot entries changes at the commit only, for firmware that mixes it up itself.
    """

    esp: Path
    architecture: str
    variables: EfiVariables
    fallback: FallbackMode = "conservative"
    install_index: int = 0
    keep_order: bool = False

    def label(self, volume: AbVolume) -> str:
        """The name of a slot."""
        return label_of(volume, self.install_index)

    def running_kernel(self) -> str | None:
        """The unified kernel that runs; None where systemd-boot did not start the system."""
        return ukis.running_kernel(self.variables.read(ukis.SELECTED))

    def stale_kernels(self, target: AbVolume, active: AbVolume | None) -> tuple[str, ...]:
        """The kernels that go before a slot is written; ServicingError if the one that runs is of that slot."""
        return ukis.outdated(kernels.names(self.esp), target, active, self.install_index, self.running_kernel())

    def starts_kernel(self, volume: AbVolume) -> bool:
        """Whether a slot starts by a unified kernel."""
        files = fat_files.names(self.esp, fat_files.locate(self.esp, f"EFI/{self.label(volume)}"))
        return ukis.starts_kernel(files, kernels.names(self.esp), volume, self.install_index)


@dataclass(frozen=True)
class ImageBoot:
    """What of an image starts it. `content` is where its ESP is mounted or unpacked; `uki`: by a unified kernel."""

    content: Path
    uki: bool
    any_grub: bool = False

    def files(self, architecture: str) -> tuple[Copied, ...]:
        """The files of the directory of a slot; ServicingError names one that is missing."""
        return boot_files(fat_files.all_files(self.content), architecture, uki=self.uki, any_grub=self.any_grub)

    def needed(self, architecture: str) -> int:
        """Bytes of an ESP that the boot files need. ServicingError and FormatError for images that cannot start."""
        files = [file.source for file in self.files(architecture)]
        return esp.size_of(self.content, files) + (kernels.needed(self.content) if self.uki else 0)


def check(side: BootSide, image: ImageBoot, target: AbVolume, active: AbVolume | None) -> None:
    """Before anything changes: whether `place` will find what it needs in the image, and room on the ESP.

    NoSpaceError, ServicingError or FormatError if not.
    """
    gone = [f"EFI/{side.label(target)}", esp.NEW_SLOT, _spare_grub(side)]
    for name in side.stale_kernels(target, active):
        gone += [f"{ukis.DIRECTORY}/{name}", f"{ukis.DIRECTORY}/{name}{ukis.ADDONS}"]
    needed, room = image.needed(side.architecture), esp.room(side.esp) + esp.taken_by(side.esp, gone)
    if room < needed:
        message = f"the ESP has room for {exact(room)}, but the boot files of the new system need {exact(needed)}"
        raise NoSpaceError(message, hint=_ROOM)


def check_new_esp(image: ImageBoot, architecture: str, size: int, *, two: bool) -> None:
    """The same before a disk is partitioned, of an ESP of so many bytes. `two`: the machine is to have two slots.

    NoSpaceError when not even the first slot finds room; a warning when updates will not.
    """
    needed = image.needed(architecture)
    if size < needed:
        message = f"the ESP is to have {exact(size)}, but the boot files of the image need {exact(needed)}"
        raise NoSpaceError(message, hint="make the partition larger in storage.disks")
    if two and size < 2 * needed:
        message = "An ESP of %s will have no room for an update: two systems with boot files of %s do not fit"
        log.warning(message, exact(size), exact(needed))


def withdraw(side: BootSide, target: AbVolume, active: AbVolume | None) -> None:
    """Nothing starts the slot any more that is about to be overwritten, nor finds anything of it to go back to."""
    stale = side.stale_kernels(target, active)
    _stay_with_what_runs(side)
    side.variables.carry_out(boot_entries.disarm(read_boot_variables(side.variables), side.label(target)))
    side.variables.carry_out(ukis.release(side.variables.read(ukis.ONE_SHOT), stale))
    # What the fallback starts does not need the slot's files, and a small ESP needs their room.
    kernels.remove(side.esp, stale)
    esp.remove_slot(side.esp, side.label(target))
    _fall_back(side, Moment.STAGE, active, target)


def make_room(side: BootSide, image: ImageBoot) -> None:
    """Remove what builders put beside grub for us, if its room is needed: nothing starts it under that name."""
    if esp.room(side.esp) < image.needed(side.architecture):
        fat_files.remove(side.esp, _spare_grub(side))


def place(side: BootSide, image: ImageBoot, target: AbVolume) -> None:
    """Put the boot files of the image where the slot has its own; a kernel gets no name yet by which it can start."""
    if image.uki:
        kernels.stage(side.esp, image.content)
    esp.place_slot(side.esp, image.content, side.label(target), image.files(side.architecture))


def arm(
    side: BootSide, target: AbVolume, active: AbVolume | None, partitions: Sequence[HardDrive], *, install: bool
) -> None:
    """The slot starts next time: for good where the machine is installed, else only once until the commit.

    `partitions` are those that hold the ESP, several where it is mirrored.
    """
    name = None
    if side.starts_kernel(target):
        if not install:
            _stay_with_what_runs(side)  # before the kernel has a name: without a default the newest is started
        name = kernels.name_staged(side.esp, target, side.install_index)
        if install:
            _start_from_now_on(side, name)
    if not install and active:
        _keep_what_runs(side, active, partitions)
    with _trying(side, None if install else name):
        _start_next(side, target, partitions, lasting=install)
    _fall_back(side, Moment.INSTALL_FINALIZE if install else Moment.UPDATE_FINALIZE, active, target)


def stand_down(side: BootSide, target: AbVolume) -> bool:
    """After an `arm` that failed: the slot does not start next time. False, and logged, if that cannot be changed."""
    try:
        side.variables.carry_out(boot_entries.disarm(read_boot_variables(side.variables), side.label(target)))
        named = ukis.kernel_of_slot(kernels.names(side.esp), target, side.install_index)
        side.variables.carry_out(ukis.release(side.variables.read(ukis.ONE_SHOT), [named] if named else []))
    except (TwinrootError, OSError) as error:
        log.error("The other system may start next time, though it should not: %s", error)
        return False
    return True


def arm_rollback(side: BootSide, target: AbVolume, active: AbVolume, partitions: Sequence[HardDrive]) -> None:
    """The slot of before starts next time, and from then on; a unified kernel only once until the commit.

    Its commit keeps it, whichever agent makes that, and a kernel that is damaged by now leads back to what runs.
    """
    name = None
    if side.starts_kernel(target):
        name = ukis.kernel_of_slot(kernels.names(side.esp), target, side.install_index)
        if name is None:
            message = f"the ESP has no unified kernel image of {target} to go back to"
            raise ServicingError("enumerate-ukis", message)
        _stay_with_what_runs(side)
    with _trying(side, name):
        now = read_boot_variables(side.variables)
        changes = boot_entries.arm_existing(now, side.label(target), keep_order=side.keep_order)
        if changes:
            side.variables.carry_out(changes)
        else:
            _start_next(side, target, partitions, lasting=True)
    _fall_back(side, Moment.ROLLBACK_FINALIZE, active, target)


def commit(side: BootSide, volume: AbVolume, partitions: Sequence[HardDrive], *, reorder: bool) -> None:
    """The slot that was started, and proved well, starts from now on. `reorder`: it was armed for one start only.

    Its trial ends first: where that fails, as on an ESP that cannot be written, the machine is to start what it started
    before, and not this system on trial again and again.
    """
    kernel = side.running_kernel()
    if kernel is None and side.starts_kernel(volume):
        message = "the system that runs has a unified kernel image, and was not started by systemd-boot"
        raise ServicingError("read-efi-variable", message, hint="start the machine by systemd-boot of its ESP")
    end_trial(side.esp, side.label(volume))
    if kernel is not None:
        kernels.end_trial(side.esp, kernel)
        _start_from_now_on(side, kernel)
    if reorder or side.keep_order:
        _promote(side, volume, partitions)
    _fall_back(side, Moment.COMMIT, volume, volume)


def stay(side: BootSide, active: AbVolume, partitions: Sequence[HardDrive]) -> None:
    """After a rollback that did not start: the slot that runs starts from now on, as before."""
    other: AbVolume = "volume-b" if active == "volume-a" else "volume-a"
    _stay_with_what_runs(side)
    _promote(side, active, partitions)
    side.variables.carry_out(boot_entries.disarm(read_boot_variables(side.variables), side.label(other)))
    _fall_back(side, Moment.COMMIT, active, active)


def _stay_with_what_runs(side: BootSide) -> None:
    """Of all kernels that systemd-boot sees, it starts the one that runs, unless it is told otherwise."""
    kernel = side.running_kernel()
    if kernel is not None:
        _start_from_now_on(side, kernel)


def _start_from_now_on(side: BootSide, kernel: str) -> None:
    side.variables.carry_out(ukis.promote(kernel))
    try:
        kernels.set_default(side.esp, kernel)
    except NoSpaceError as error:
        log.warning("What systemd-boot starts without variables of the firmware stays as it was: %s", error)


def _keep_what_runs(side: BootSide, active: AbVolume, partitions: Sequence[HardDrive]) -> None:
    """What a slot that fails goes back to has an entry, lest the order leads to the new one alone.

    A machine that was started from an image has none of its own, nor has one whose firmware lost its variables.
    """
    if not side.keep_order and _has_directory(side, active):
        _promote(side, active, partitions, only_missing=True)


def _promote(side: BootSide, volume: AbVolume, partitions: Sequence[HardDrive], *, only_missing: bool = False) -> None:
    label, now = side.label(volume), read_boot_variables(side.variables)
    loader = loader_of(label, efi_architecture(side.architecture))
    side.variables.carry_out(boot_entries.promote(now, label, loader, partitions, only_missing=only_missing))


@contextmanager
def _trying(side: BootSide, kernel: str | None) -> Iterator[None]:
    """A unified kernel starts once, while the block has its slot's loader start.

    Where systemd-boot runs already, the kernel comes last: should power fail between, the loader finds the kernel that
    runs. Where it does not, the loader would find the new kernel alone, and start it for good.
    """
    last = side.running_kernel() is not None
    if kernel and not last:
        _try_once(side, kernel)
    yield
    if kernel and last:
        _try_once(side, kernel)


def _try_once(side: BootSide, kernel: str) -> None:
    line = kernels.command_line(side.esp, f"{ukis.DIRECTORY}/{kernel}")
    if side.variables.read(_SECURE_BOOT) == b"\1" and line and "panic=" not in line:
        log.warning(
            "Secure Boot keeps the command line of this kernel as it is: after a panic the machine stays where it is. "
            "Images whose kernels have panic=10 rd.shell=0 rd.emergency=reboot come back by themselves"
        )
    kernels.begin_trial(side.esp, kernel)
    side.variables.carry_out(ukis.try_once(kernel))


def _spare_grub(side: BootSide) -> str:
    return f"{FALLBACK}/grub{efi_architecture(side.architecture)}-noprefix.efi"


def _start_next(side: BootSide, target: AbVolume, partitions: Sequence[HardDrive], *, lasting: bool) -> None:
    label = side.label(target)
    loader = loader_of(label, efi_architecture(side.architecture))
    now = read_boot_variables(side.variables)
    changes = boot_entries.arm(now, label, loader, partitions, lasting=lasting, keep_order=side.keep_order)
    side.variables.carry_out(changes)


def _has_directory(side: BootSide, volume: AbVolume) -> bool:
    return bool(fat_files.names(side.esp, fat_files.locate(side.esp, f"EFI/{side.label(volume)}")))


def _fall_back(side: BootSide, moment: Moment, active: AbVolume | None, target: AbVolume) -> None:
    volume = fallback_slot(side.fallback, moment, active, target)
    if volume is None:
        return
    if moment is Moment.STAGE and not _has_directory(side, volume):
        return  # The machine was first installed by other means: the fallback is what it starts by.
    try:
        esp.set_fallback(side.esp, volume, side.install_index, efi_architecture(side.architecture))
    except NoSpaceError as error:
        if moment not in _LEAVES_IT_WHOLE:
            raise
        # What it starts still is whole, until the next update sees to it first.
        log.warning("What the firmware falls back to stays as it was: %s", error)
