"""Regenerating the initramfs with the image's own tool (image behaviour spec §21), and the check for a kernel (§25)."""

from __future__ import annotations

from twinroot.distro.distro import Distro
from twinroot.distro.packages import OnLine
from twinroot.errors import InputError
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import resolve_inside

_PACKAGES = {"update-initramfs": "initramfs-tools", "mkinitrd": "the package that has it"}


def regenerate(chroot: Chroot, distro: Distro, on_line: OnLine) -> None:
    """Make every installed kernel's initramfs anew.

    Not fitted to the build host: what is found there says nothing about the machine that will boot.
    """
    program = distro.initramfs[0]
    if not chroot.has(program):
        raise InputError(
            f"the image has no {program}, so its initramfs cannot be made for the new disk",
            hint=f"add {_PACKAGES.get(program, program)} to os.packages.install",
        )
    chroot.run(distro.initramfs, on_line=on_line)


def check_kernel(chroot: Chroot) -> None:
    """InputError when no kernel is installed: such an image cannot boot."""
    modules = resolve_inside(chroot.root, "/lib/modules")
    if not modules.is_dir() or not any(entry.is_dir() and any(entry.iterdir()) for entry in modules.iterdir()):
        raise InputError(
            "the image has no kernel after customisation (/lib/modules is empty)",
            hint="install one with os.packages.install, for example: kernel",
        )
