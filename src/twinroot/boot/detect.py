"""Which boot loader an image uses, by its packages (image behaviour spec §27). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from twinroot.errors import InputError

_GRUB = ("grub2-efi-binary", "grub2-efi-binary-noprefix", "grub2-efi-x64", "grub2-efi-aa64")
_DEBIAN_GRUB = "grub-efi"
_SYSTEMD_BOOT = ("systemd-boot", "systemd-boot-unsigned", "systemd-boot-efi")


def boot_loader(packages: Iterable[str]) -> str:
    """ "grub" or "systemd-boot"; InputError when neither is installed, as COSI must name one."""
    names = set(packages)
    if names.intersection(_GRUB) or any(name.startswith(_DEBIAN_GRUB) for name in names):
        return "grub"
    if names.intersection(_SYSTEMD_BOOT):
        return "systemd-boot"
    raise InputError(
        "the image has no EFI boot loader package, which a COSI file must name",
        hint=f"install grub ({_GRUB[0]}, or grub-efi-amd64 on Debian), or write another output format",
    )
