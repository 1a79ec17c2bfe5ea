"""grub on the ESP without a built-in prefix, which reads the grub.cfg of whatever directory it was started from.

The halves of an A/B machine have boot files of their own, each in a directory on the ESP (servicing spec, section 11).
The signed grub of Debian and Ubuntu has one directory built in, wherever it lies itself, and no package of theirs has
another one. So the image's grub-mkimage makes one of the image's modules, beside the signed one, which stays what
starts the image by itself.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from pathlib import Path

from twinroot.boot.grub_bios import FILESYSTEM_MODULES, MAKERS, read_made
from twinroot.distro.distro import GrubFacts
from twinroot.plan.disk import PlacedMount, PlannedDisk
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import make_directory, resolve_inside

log = logging.getLogger(__name__)

REMOVABLE = "EFI/BOOT"
"""Where firmware looks for a boot loader when it has no boot entries (UEFI specification, section 3.5)."""
_TARGETS = {"x64": "x86_64-efi", "aa64": "arm64-efi"}
_MODULES = "/usr/lib/grub"
_WORK = "/run/twinroot/efi"
# What a grub.cfg of grub-mkconfig loads: nothing else can be loaded, as no modules lie beside it.
_ALWAYS = (
    "all_video", "boot", "cat", "chain", "configfile", "echo", "fat", "gzio", "halt", "linux", "loadenv", "ls",
    "mdraid1x", "minicmd", "normal", "part_gpt", "reboot", "search", "search_fs_file", "search_fs_uuid", "search_label",
    "serial", "sleep", "terminal", "test", "true",
)  # fmt: skip


def plain_name(architecture: str) -> str:
    """The name of grub without a prefix, by which packages of Azure Linux and agents call it; x64 or aa64."""
    return f"grub{architecture}-noprefix.efi"


def architectures(names: Collection[str]) -> tuple[str, ...]:
    """The architectures, x64 or aa64, of which there is a grub among the names in a directory. Pure."""
    there = {name.casefold() for name in names}
    return tuple(architecture for architecture in _TARGETS if f"grub{architecture}.efi" in there)


def modules(boot: PlacedMount) -> list[str]:
    """The modules of a grub that reads the filesystem with /boot, sorted. Pure."""
    assert boot.partition.filesystem is not None
    return sorted({*_ALWAYS, FILESYSTEM_MODULES[boot.partition.filesystem.type]})


def make_plain_grub(chroot: Chroot, esp: Path, disk: PlannedDisk, facts: GrubFacts) -> None:
    """Make a grub without a prefix where a distribution has none, and the image has what makes one.

    `esp` is the directory with the content of the ESP. One that is there was made so too, maybe for another filesystem.
    """
    removable = on_fat(esp, REMOVABLE)
    names = [path.name for path in removable.iterdir()] if facts.makes_plain_grub and removable.is_dir() else []
    program = next(filter(chroot.has, MAKERS), None)
    for architecture in architectures(names):
        target, name = _TARGETS[architecture], plain_name(architecture)
        directory = f"{_MODULES}/{target}"
        if program is None or not resolve_inside(chroot.root, f"{directory}/moddep.lst").is_file():
            log.info("The image cannot be one half of an A/B machine: it lacks %s or %s", MAKERS[-1], directory)
            continue
        make_directory(chroot.root, _WORK)
        command = [program, "-O", target, "-d", directory, "-p", "", "-o", f"{_WORK}/{name}"]
        chroot.run([*command, *modules(disk.mount_of(facts.directory))])
        on_fat(removable, name).write_bytes(read_made(resolve_inside(chroot.root, f"{_WORK}/{name}")))


def provide_plain_grub(esp: Path) -> list[Path]:
    """Directories with a grub that looks for grub.cfg beside itself; where that is the only one, shim gets a copy."""
    removable, found = on_fat(esp, REMOVABLE), []
    for architecture in _TARGETS:
        special, usual = on_fat(removable, plain_name(architecture)), on_fat(removable, f"grub{architecture}.efi")
        if special.exists():
            if not usual.exists():
                shutil.copyfile(special, usual)
            found.append(removable)
    return found


def on_fat(directory: Path, name: str) -> Path:
    """A path below a directory that will be a FAT filesystem: names that are there count whatever their case."""
    path = directory
    for part in name.split("/"):
        entries = sorted(path.iterdir()) if path.is_dir() else []
        path = next((entry for entry in entries if entry.name.casefold() == part.casefold()), path / part)
    return path
