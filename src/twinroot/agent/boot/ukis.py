"""Unified kernel images of slots on the ESP, and what systemd-boot is told to start (servicing spec, sections 9 to 11).

Pure. Names are those of files below EFI/Linux; systemd-boot calls its entries by the names of their files and cares for
no case.

    LoaderEntryOneShot   starts once: systemd-boot removes it before it starts anything. Names the entry of a trial.
    LoaderEntryDefault   starts else: always a kernel whose system was committed.
    loader.conf          `default` says the same, for a machine that loses its variables.

The command line of a kernel is part of it, so that a trial has an entry of its own in loader/entries, which starts the
same kernel with further arguments (Boot Loader Specification, type 1). systemd-stub takes these unless Secure Boot is
on and the kernel has a command line; additions (`*.addon.efi`) apply in any case.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from twinroot.agent.boot.efi_variables import LOADER, Change, Delete, Set, Variable
from twinroot.agent.boot.trial import ARGUMENTS
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.formats.efi_boot import read_text, write_text

DIRECTORY = "EFI/Linux"
ENTRIES = "loader/entries"
STAGED = "vmlinuz-0.efi.staged"
"""No name that systemd-boot shows: what is staged starts only once it has been renamed."""
_UNFINISHED = f"{STAGED}.new"
"""What a staging leaves that was cut off (`fat_files.NEW`)."""
ADDONS = ".extra.d"
"""Ending of the directory with additions to a kernel, behind the name of the kernel (systemd-stub(7))."""

ONE_SHOT, DEFAULT = Variable("LoaderEntryOneShot", LOADER), Variable("LoaderEntryDefault", LOADER)
SELECTED = Variable("LoaderEntrySelected", LOADER)
"""What the running system was started by. Gone at the next start: there only where systemd-boot started the system."""

_TRIAL = "-trident-trial.conf"
"""Ending of entries for trials; trident-trial.service looks for it."""
_KERNEL = ".efi"
_OURS = re.compile(r"vmlinuz-([0-9]{1,9})-azl([ab])([0-9]{1,4})\.efi", re.IGNORECASE)
_FIRST = 100


@dataclass(frozen=True)
class Uki:
    """A kernel of a slot: the greatest number is the newest."""

    name: str
    number: int
    volume: AbVolume
    install_index: int


def uki_of(name: str) -> Uki | None:
    """What the name of a kernel says; None when the agent did not give it."""
    match = _OURS.fullmatch(name)
    if match is None:
        return None
    return Uki(name, int(match[1]), "volume-a" if match[2].lower() == "a" else "volume-b", int(match[3]))


def only_uki(names: Collection[str]) -> str:
    """The kernel of an image; ServicingError unless there is exactly one."""
    kernels = _kernels(names)
    if len(kernels) != 1:
        message = f"the image has {len(kernels)} unified kernel images below {DIRECTORY}, where one is needed"
        raise ServicingError("enumerate-ukis", message)
    return kernels[0]


def outdated(
    names: Collection[str], target: AbVolume, active: AbVolume | None, install_index: int, running: str | None = None
) -> tuple[str, ...]:
    """Kernels that make room before another is staged: the slot's own, and what is staged, whole or not.

    Those that came with a machine which the agent did not install go too, once the slot that runs has one of the agent:
    small ESPs hold no more. `running` is the kernel that runs, which stays; ServicingError if it is of the slot.
    """
    # A rename that a power cut ended leaves addons whose kernel has another name still.
    kernels = {*names, *(name.removesuffix(ADDONS) for name in names)}
    ours = [uki for uki in map(uki_of, kernels) if uki and uki.install_index == install_index]
    gone = {uki.name for uki in ours if uki.volume == target}
    if running is not None and running.lower() in {name.lower() for name in gone}:
        message = f"the kernel that runs, {running}, is of {target}, which is to be written"
        raise ServicingError("enumerate-ukis", message, hint="restart the machine, and look at: trident get status")
    if install_index == 0 and any(uki.volume == active for uki in ours):
        gone |= {name for name in _kernels(names) if uki_of(name) is None and name.lower() != (running or "").lower()}
    return tuple(sorted(gone | ({STAGED, _UNFINISHED} & kernels)))


def final_name(names: Collection[str], volume: AbVolume, install_index: int) -> str:
    """The name of a staged kernel once it may start: newer than all that are there."""
    greatest = max((uki.number for uki in map(uki_of, names) if uki), default=0)
    return f"vmlinuz-{max(greatest + 1, _FIRST)}-azl{volume[-1]}{install_index}.efi"


def newest(names: Collection[str], volume: AbVolume, install_index: int) -> str | None:
    """The newest kernel of a slot, None when it has none."""
    ours = [uki for uki in map(uki_of, names) if uki and (uki.volume, uki.install_index) == (volume, install_index)]
    return max(ours, key=lambda uki: uki.number).name if ours else None


def kernel_of_slot(names: Collection[str], volume: AbVolume, install_index: int) -> str | None:
    """The kernel that starts a slot: its newest, or where it has none the newest that the machine came with."""
    others = sorted((name for name in _kernels(names) if uki_of(name) is None), key=_version)
    return newest(names, volume, install_index) or (others[-1] if others else None)


def starts_kernel(slot_files: Collection[str], names: Collection[str], volume: AbVolume, install_index: int) -> bool:
    """Whether a slot starts by a unified kernel, not by grub, which has its configuration beside it.

    `slot_files` are the names in the directory of the slot.
    """
    has_kernel = STAGED in names or newest(names, volume, install_index) is not None
    return has_kernel or "grub.cfg" not in (name.lower() for name in slot_files)


def trial_entry(kernel: str) -> str:
    """The name of the entry that starts a kernel on trial."""
    return f"{kernel[: -len(_KERNEL)] if kernel.lower().endswith(_KERNEL) else kernel}{_TRIAL}"


def trial_text(kernel: str, command_line: str) -> str:
    """The entry that starts a kernel on trial; `command_line` is the one that is part of the kernel, if any is."""
    arguments = " ".join((*command_line.replace("\0", " ").split(), ARGUMENTS))
    return f"title {kernel} on trial\nefi /{DIRECTORY}/{kernel}\noptions {arguments}\n"


def is_trial_entry(entry: str) -> bool:
    """Whether an entry of systemd-boot is one of a trial."""
    return entry.lower().endswith(_TRIAL)


def kernel_of(entry: str) -> str:
    """The kernel that an entry of systemd-boot starts."""
    return f"{entry[: -len(_TRIAL)]}{_KERNEL}" if is_trial_entry(entry) else entry


def running_kernel(selected: bytes | None) -> str | None:
    """The kernel that runs, by the variable; None where systemd-boot did not start it.

    ServicingError when it does not say what it started.
    """
    if selected is None:
        return None
    if not read_text(selected):
        message = "systemd-boot does not say which kernel it started"
        raise ServicingError("read-efi-variable", message, hint="start the machine by systemd-boot of its ESP")
    return kernel_of(read_text(selected))


def release(one_shot: bytes | None, gone: Collection[str]) -> tuple[Change, ...]:
    """Before kernels are removed: none of them is to start next time. `one_shot` is what the variable holds."""
    named = kernel_of(read_text(one_shot)).lower() if one_shot is not None else None
    return (Delete(ONE_SHOT),) if named in {name.lower() for name in gone} else ()


def promote(kernel: str) -> tuple[Change, ...]:
    """A kernel starts whenever nothing else is asked for: one that runs, or was installed.

    Also before the other slot is written or tried: without a default, systemd-boot starts the newest of all kernels.
    """
    return (Set(DEFAULT, write_text(kernel)),)


def try_once(kernel: str) -> tuple[Change, ...]:
    """A kernel starts next time only, on trial."""
    return (Set(ONE_SHOT, write_text(trial_entry(kernel))),)


def with_default(loader_conf: str, kernel: str) -> str:
    """The text of loader.conf with a kernel as its default."""
    lines = [line for line in loader_conf.splitlines() if not re.match(r"\s*default(\s|$)", line)]
    return "".join(f"{line}\n" for line in (*lines, f"default {kernel}"))


def _kernels(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name.lower().endswith(".efi"))


def _version(name: str) -> list[tuple[int, str]]:
    """A key that puts 5.9 before 5.10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"([0-9]+)", name)]
