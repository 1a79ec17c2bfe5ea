"""What a console shows when a machine will never come up: a table, and the pure function that reads a log with it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """A known end: the line that tells, what it means, and what to look at next."""

    line: str
    meaning: str
    hint: str


_NO_LOADER = "check that the image has an EFI system partition with EFI/BOOT/BOOTX64.EFI"
_NO_ROOT = "check the root= argument, the drivers in the initramfs and /etc/fstab"

# (pattern within one line, meaning, hint)
_TABLE: tuple[tuple[str, str, str], ...] = (
    (r"Kernel panic - not syncing: (?:VFS: )?Unable to mount root", "the kernel cannot mount its root", _NO_ROOT),
    (r"Kernel panic - not syncing", "the kernel panicked", "read what the console shows above the panic"),
    (r"Freezing execution\.?$", "the service manager crashed", "read what the console shows above that line"),
    (r"UEFI Interactive Shell v", "the firmware found nothing to boot", _NO_LOADER),
    (r"^BdsDxe: No bootable option or device", "the firmware found nothing to boot", _NO_LOADER),
    (
        r"^BdsDxe: failed to (?:load|start) .*: (?:Access Denied|Security Violation)",
        "Secure Boot refused the boot loader",
        "sign it with an enrolled key, or boot without Secure Boot",
    ),
    (
        r"Verification failed: \(0x1A\) Security Violation|bad shim signature",
        "Secure Boot refused the next step of the boot chain",
        "sign it with a key that shim trusts, or boot without Secure Boot",
    ),
    (
        r"^>>Start (?:PXE|HTTP Boot) over IPv",
        "the firmware found nothing to boot on the disk and tries the network",
        _NO_LOADER,
    ),
    (
        r"^No bootable device\.|^Boot failed: not a bootable disk",
        "the BIOS found nothing to boot",
        "check that the image has BIOS boot code, or boot it with UEFI firmware",
    ),
    (r"^grub rescue>", "GRUB cannot reach its modules", "check the prefix and the partition it names"),
    (r"^grub>", "GRUB found no configuration", "check that grub.cfg lies where the boot loader looks for it"),
    (r"^Failed to boot both default and fallback entries", "GRUB could boot none of its entries", _NO_ROOT),
    (r"^\(initramfs\) ", "the initramfs gave up and opened a shell", _NO_ROOT),
    (r"^dracut:/#|Entering emergency mode\. Exit the shell", "dracut gave up and opened a shell", _NO_ROOT),
    (r"You are in (?:emergency|rescue) mode", "the system came up in emergency mode", _NO_ROOT),
    (
        r"Cannot open access to console, the root account is locked",
        "the system came up in emergency mode without a root password",
        _NO_ROOT,
    ),
)
_COMPILED = tuple((re.compile(pattern, re.MULTILINE), meaning, hint) for pattern, meaning, hint in _TABLE)


def find_failure(text: str, start: int = 0) -> Failure | None:
    """The earliest known failure in a cleaned console log from offset `start`, or None."""
    found = (
        (match.start(), meaning, hint) for pattern, meaning, hint in _COMPILED if (match := pattern.search(text, start))
    )
    first = min(found, key=lambda item: item[0], default=None)
    if first is None:
        return None
    at, meaning, hint = first
    begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    return Failure(text[begin : end if end >= 0 else len(text)].strip(), meaning, hint)
