"""Unified kernel images of slots on the ESP, and what systemd-boot is told to start (servicing spec, sections 9 to 11).

Pure. Names are those of files below EFI/Linux.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from twinroot.agent.boot.efi_variables import LOADER, Change, Delete, Set, Variable
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.formats.efi_boot import read_text, write_text

DIRECTORY = "EFI/Linux"
STAGED = "vmlinuz-0.efi.staged"
"""No name that systemd-boot shows: what is staged starts only once it has been renamed."""
ADDONS = ".extra.d"
"""Ending of the directory with additions to a kernel, behind the name of the kernel (systemd-stub(7))."""

ONE_SHOT, DEFAULT = Variable("LoaderEntryOneShot", LOADER), Variable("LoaderEntryDefault", LOADER)
SELECTED = Variable("LoaderEntrySelected", LOADER)

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


def outdated(names: Collection[str], target: AbVolume, active: AbVolume | None, install_index: int) -> tuple[str, ...]:
    """Kernels that make room before another is staged: the slot's own, and what is staged.

    Those that came with a machine which the agent did not install go too, once the slot that runs has one of the agent:
    small ESPs hold no more.
    """
    # A rename that a power cut ended leaves addons whose kernel has another name still.
    kernels = {*names, *(name.removesuffix(ADDONS) for name in names)}
    ours = [uki for uki in map(uki_of, kernels) if uki and uki.install_index == install_index]
    gone = {uki.name for uki in ours if uki.volume == target}
    if install_index == 0 and any(uki.volume == active for uki in ours):
        gone |= {name for name in _kernels(names) if uki_of(name) is None}
    return tuple(sorted(gone | ({STAGED} & set(names))))


def final_name(names: Collection[str], volume: AbVolume, install_index: int) -> str:
    """The name of a staged kernel once it may start: newer than all that are there."""
    greatest = max((uki.number for uki in map(uki_of, names) if uki), default=0)
    return f"vmlinuz-{max(greatest + 1, _FIRST)}-azl{volume[-1]}{install_index}.efi"


def newest(names: Collection[str], volume: AbVolume, install_index: int) -> str | None:
    """The newest kernel of a slot, None when it has none."""
    ours = [uki for uki in map(uki_of, names) if uki and (uki.volume, uki.install_index) == (volume, install_index)]
    return max(ours, key=lambda uki: uki.number).name if ours else None


def previous(names: Collection[str]) -> str:
    """The kernel to go back to: the agent's newest but one, or else the newest of others; ServicingError if none."""
    ours = sorted((uki for uki in map(uki_of, names) if uki), key=lambda uki: uki.number)
    if len(ours) > 1:
        return ours[-2].name
    others = sorted((name for name in _kernels(names) if uki_of(name) is None), key=_version)
    if not others:
        raise ServicingError("enumerate-ukis", "the ESP has no unified kernel image to go back to")
    return others[-1]


def release(one_shot: bytes | None, gone: Collection[str]) -> tuple[Change, ...]:
    """Before kernels are removed: none of them is to start next time. `one_shot` is what the variable holds."""
    return (Delete(ONE_SHOT),) if one_shot is not None and read_text(one_shot) in gone else ()


def pin(default: bytes | None, selected: bytes | None) -> tuple[Change, ...]:
    """Before a kernel for one try gets its name: systemd-boot without a default would start it ever after, as the
    newest.

    `default` and `selected` are what the variables hold. ServicingError when neither says what to start by default.
    """
    if default is not None:
        return ()
    return promote(selected)


def promote(selected: bytes | None) -> tuple[Change, ...]:
    """At a commit: what was started becomes the default. ServicingError when systemd-boot does not say what it was."""
    if not selected or not read_text(selected):
        message = "systemd-boot does not say which kernel it started"
        raise ServicingError("read-efi-variable", message, hint="start the machine by systemd-boot of its ESP")
    return (Set(DEFAULT, write_text(read_text(selected))),)


def choose(name: str, *, lasting: bool) -> tuple[Change, ...]:
    """A kernel to start next time only, or by default from now on."""
    return (Set(DEFAULT if lasting else ONE_SHOT, write_text(name)),)


def _kernels(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name.lower().endswith(".efi"))


def _version(name: str) -> list[tuple[int, str]]:
    """A key that puts 5.9 before 5.10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"([0-9]+)", name)]
