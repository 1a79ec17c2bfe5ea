"""grub for BIOS machines: the image's own modules, and a core image made of them, put where the BIOS finds them.

grub-install wants to see the disk. What it does is little: it copies the modules to /boot, has grub-mkimage make a core
image of those that reach /boot, and writes that and a boot sector. The first two happen here, in the tree; the last is
two values, for the bios-grub partition and for the first sector.
"""

from __future__ import annotations

import logging
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from twinroot.distro.distro import GrubFacts
from twinroot.errors import InputError
from twinroot.formats.grub_bios import boot_code, placed_core
from twinroot.plan.disk import PlacedMount, PlannedDisk
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import place_file, resolve_inside
from twinroot.tools.run import first_available, run

log = logging.getLogger(__name__)

MODULES = "/usr/lib/grub/i386-pc"
_TARGET = "i386-pc"
MAKERS = ("grub2-mkimage", "grub-mkimage")
"""Names of the program that makes grub out of modules."""
_NEEDED = ("boot.img", "diskboot.img", "kernel.img", "moddep.lst")
_WORK = "/run/twinroot/bios"
FILESYSTEM_MODULES = {"ext4": "ext2", "vfat": "fat", "xfs": "xfs", "btrfs": "btrfs"}
"""grub's module for each type of filesystem."""
# No core image comes near this.
_LARGEST = 8 << 20


@dataclass(frozen=True)
class BiosBoot:
    """What the disk gets: code for its first sector, and the content of the bios-grub partition."""

    code: bytes
    core: bytes


def install(chroot: Chroot, disk: PlannedDisk, facts: GrubFacts) -> BiosBoot:
    """Copy grub's modules to /boot and make the images. InputError when neither image nor host has grub for BIOS."""
    partition = disk.bios_boot
    assert partition is not None
    boot = disk.mount_of(facts.directory)
    root = chroot.root
    modules = resolve_inside(root, MODULES)
    program = next(filter(chroot.has, MAKERS), None)
    in_image = program is not None and _complete(modules)
    if not in_image:
        host_program = first_available(MAKERS)
        if host_program is None or not _complete(Path(MODULES)):
            raise InputError(
                "the image has no grub for BIOS machines",
                hint=f"install it with os.packages.install: {facts.bios_package}",
            )
        log.warning("The image has no grub for BIOS machines (package %s): this host's is used", facts.bios_package)
        program, modules = host_program, Path(MODULES)
    _copy_modules(modules, root, f"{facts.directory}/{_TARGET}")
    command = [str(program), "-O", _TARGET, "-p", boot.inner(facts.directory), "-d", MODULES]
    early, needed = early_configuration(boot, facts), core_modules(boot)
    core = _in_image(chroot, command, needed, early) if in_image else _on_host(command, needed, early)
    sector = partition.entry.first_lba
    return BiosBoot(boot_code(read_made(modules / "boot.img"), sector), placed_core(core, sector, partition.size))


def close(root: Path, directory: str) -> None:
    """Take the rights of group and others off grub's directory and all in it, as for BIOS machines (§16)."""
    top = resolve_inside(root, directory)
    for path in (top, *sorted(top.rglob("*"))):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink() and mode & 0o077:
            path.chmod(mode & ~0o077)


def early_configuration(boot: PlacedMount, facts: GrubFacts) -> str:
    """What the core image runs first: find the filesystem that holds /boot."""
    filesystem = boot.partition.filesystem
    assert filesystem is not None
    return f"search.fs_uuid {filesystem.uuid} root\nset prefix=($root)'{boot.inner(facts.directory)}'\n"


def core_modules(boot: PlacedMount) -> list[str]:
    """The modules that reach /boot; from there grub loads all others."""
    assert boot.partition.filesystem is not None
    return ["biosdisk", "part_gpt", FILESYSTEM_MODULES[boot.partition.filesystem.type], "search_fs_uuid"]


def _in_image(chroot: Chroot, command: list[str], modules: list[str], early: str) -> bytes:
    place_file(chroot.root, f"{_WORK}/early.cfg", early)
    output = f"{_WORK}/core.img"
    chroot.run([*command, "-c", f"{_WORK}/early.cfg", "-o", output, *modules])
    return read_made(resolve_inside(chroot.root, output))


def _on_host(command: list[str], modules: list[str], early: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="twinroot-") as scratch:
        config, output = Path(scratch, "early.cfg"), Path(scratch, "core.img")
        config.write_text(early)
        run([*command, "-c", config, "-o", output, *modules])
        return read_made(output)


def _complete(directory: Path) -> bool:
    return all(_is_plain(directory / name) for name in _NEEDED)


def _is_plain(path: Path) -> bool:
    # Not a link, which could lead anywhere on the host.
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def read_made(path: Path) -> bytes:
    """A file of grub that the image has or made; InputError where it is a link, or larger than any of them."""
    if not _is_plain(path) or path.stat().st_size > _LARGEST:
        raise InputError(f"grub's {path.name} is not a plain file of at most 8 MiB")
    return path.read_bytes()


def _copy_modules(source: Path, root: Path, target: str) -> None:
    """Replace the modules in /boot, which must be those that the core image is made of."""
    old = resolve_inside(root, target)
    if old.is_dir():
        shutil.rmtree(old)
    for file in sorted(source.iterdir()):
        if file.suffix in (".mod", ".lst") and _is_plain(file):
            place_file(root, f"{target}/{file.name}", read_made(file))
