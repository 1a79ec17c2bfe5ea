"""What belongs on the ESP: boot files of a slot, the firmware's fallback, install indexes (servicing spec, section 11).

Pure. Paths are relative to the ESP and have slashes; FAT knows no case, so names are compared without it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from twinroot.agent.boot.boot_entries import label_of
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume

FALLBACK = "EFI/BOOT"
_GRUB_CONFIGS = (f"{FALLBACK}/grub.cfg", "boot/grub2/grub.cfg")
_KEY_TOOLS = ("mmx64.efi", "mmaa64.efi")
_NO_PREFIX = (
    "install grub2-efi-binary-noprefix in it in the place of grub2-efi-binary; a Debian image gets this file by a hard "
    "reset of its boot loader (os.bootloader.resetType), if it has the package grub-efi-amd64-bin"
)
_MAX_INSTALLATIONS = 1000
_EFI_NAMES = {"x86_64": "x64", "amd64": "x64", "arm64": "aa64", "aarch64": "aa64"}

FallbackMode = Literal["conservative", "optimistic", "disabled"]


class Moment(Enum):
    """When the fallback is looked after."""

    STAGE = auto()
    """Before a slot is overwritten. The peer does nothing here, and may leave a fallback that starts this slot."""
    INSTALL_FINALIZE = auto()
    UPDATE_FINALIZE = auto()
    COMMIT = auto()
    ROLLBACK_FINALIZE = auto()


@dataclass(frozen=True)
class Copied:
    """A file of the image's ESP, and its name in the directory of the slot."""

    source: str
    name: str


def efi_architecture(architecture: str) -> str:
    """How the names of EFI programs call an architecture; ServicingError for others than x86-64 and 64-bit ARM."""
    found = _EFI_NAMES.get(architecture)
    if found is None:
        raise ServicingError("deploy-esp-images", f"machines of the architecture {architecture} cannot be booted")
    return found


def boot_files(there: Collection[str], architecture: str, *, uki: bool, any_grub: bool = False) -> tuple[Copied, ...]:
    """The files of the image's ESP that a slot needs; `there` are the paths of all its files.

    grub without a built-in prefix reads its configuration from its own directory; one with a prefix would read that of
    the directory that it was built for, and so is refused unless `any_grub`. Images with unified kernels have
    systemd-boot in the place of grub, or no loader but `boot….efi`. ServicingError names the file that is missing.
    """
    arch = efi_architecture(architecture)
    names = {path.lower(): path for path in there}

    def find(path: str) -> str | None:
        return names.get(path.lower())

    files = []
    grub, bare = find(f"{FALLBACK}/grub{arch}.efi"), find(f"{FALLBACK}/grub{arch}-noprefix.efi")
    if not uki:
        config = next(filter(None, map(find, _GRUB_CONFIGS)), None)
        stub = _needed(config, _GRUB_CONFIGS[0], "build the image with a hard reset of its boot loader")
        files.append(Copied(stub, "grub.cfg"))
        if not any_grub:
            _needed(bare, f"{FALLBACK}/grub{arch}-noprefix.efi", _NO_PREFIX)
        _needed(bare or grub, f"{FALLBACK}/grub{arch}.efi")
    loader = bare or grub
    if loader:
        files.append(Copied(loader, f"grub{arch}.efi"))
    shim = f"{FALLBACK}/boot{arch}.efi"
    return (*files, Copied(_needed(find(shim), shim), f"boot{arch}.efi"))


def kept_files(names: Collection[str], *, uki: bool) -> tuple[str, ...]:
    """What of the files of EFI/BOOT the directory of a slot gets, where that is made from them.

    Left out is what starts nothing there, as small ESPs need the room: the tool for keys of machine owners, the name
    that grub is packaged under where it is there under its own, what an interrupted run left; with `uki`, where
    systemd-boot started the system, a configuration of grub that the image had before.
    """
    there = {name.lower() for name in names}

    def starts_nothing(name: str) -> bool:
        plain = name.removesuffix("-noprefix.efi")
        twin = plain != name and f"{plain}.efi" in there
        return twin or (uki and name == "grub.cfg") or name in _KEY_TOOLS or name.endswith((".new", ".old"))

    return tuple(name for name in names if not starts_nothing(name.lower()))


def fallback_slot(mode: FallbackMode, moment: Moment, active: AbVolume | None, target: AbVolume) -> AbVolume | None:
    """The slot that the firmware shall start when all boot entries are lost; None to leave it alone.

    `active` runs now, `target` is what is being written, armed or committed: at a commit, both are the new one. The
    peer copies the slot before the commit once more then, against its documentation, so that the fallback leads into
    the slot that the next update overwrites.
    """
    if mode == "disabled":
        return None
    if moment is Moment.STAGE or (moment is Moment.UPDATE_FINALIZE and mode == "conservative"):
        return active
    return target


def fallback_source(directories: Collection[str], volume: AbVolume, install_index: int) -> str | None:
    """The directory below EFI that the fallback is copied from; None where there is nothing to copy.

    `directories` are the names below EFI. A machine that was first installed by other means may have no directory for
    its first slot, which then is what the fallback starts already. ServicingError when the directory is missing
    otherwise.
    """
    names = {name.lower() for name in directories}
    wanted = label_of(volume, install_index)
    if wanted.lower() in names:
        return wanted
    if volume == "volume-a" and label_of("volume-b", install_index).lower() in names:
        return None
    message = f"the ESP has no directory EFI/{wanted} to copy the fallback from"
    raise ServicingError("set-up-uefi-fallback", message)


def free_install_index(directories: Collection[str]) -> int:
    """The first index of which neither slot has a directory below EFI; ServicingError when there is none."""
    names = {name.lower() for name in directories}
    for index in range(_MAX_INSTALLATIONS):
        if not names & {label_of(volume, index).lower() for volume in ("volume-a", "volume-b")}:
            return index
    message = f"the ESP holds {_MAX_INSTALLATIONS} installations already"
    raise ServicingError("no-available-install-index", message, hint="remove directories AZL… from EFI on the ESP")


def _needed(found: str | None, path: str, hint: str | None = None) -> str:
    if found is None:
        raise ServicingError("deploy-esp-images", f"the ESP of the image has no {path}", hint=hint)
    return found
