"""The initrd of a new system with grub, made by its own tools (servicing spec, 12.5). Unified kernels are left as
signed.

The peer runs mkinitrd where there is one, with the machine's devices in sight. Here the new system's programs see none,
so dracut is told to take all drivers rather than those of devices that it finds: an initrd that fits another machine
boots, one that lacks a driver does not.
"""

from __future__ import annotations

from collections.abc import Callable

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.blame import blaming
from twinroot.sandbox.chroot import Chroot


def initrd_command(has: Callable[[str], bool], *, debug: bool = False) -> list[str]:
    """How the initrds of all kernels are made by what a system has; ServicingError when it has nothing."""
    if has("dracut"):
        noisy = ["--debug", "-L", "6"] if debug else []
        return ["dracut", "--force", *noisy, "--regenerate-all", "--zstd", "--no-hostonly"]
    if has("update-initramfs"):
        return ["update-initramfs", "-u", "-k", "all"]
    if has("mkinitrd"):
        return ["mkinitrd"]
    message = "the image has none of dracut, update-initramfs and mkinitrd, so its initrd cannot be made"
    raise ServicingError("regenerate-initrd", message, hint="use an image with dracut")


def regenerate_initrd(chroot: Chroot, *, debug: bool = False, on_line: Callable[[str], None] | None = None) -> None:
    """Make the initrd of every kernel anew; ServicingError with what the program said."""
    with blaming("regenerate-initrd", "the initrd"):
        chroot.run(initrd_command(chroot.has, debug=debug), on_line=on_line, merged=True)
