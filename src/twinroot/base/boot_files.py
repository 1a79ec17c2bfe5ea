"""What boots an image: boot loader, kernels and command lines, read from its files without mounting it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twinroot.base.facts import BaseFacts

GRUB_CONFIGS = ("/boot/grub2/grub.cfg", "/boot/grub/grub.cfg")
LOADER_ENTRIES = ("/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries")
UKI_DIRECTORIES = ("/boot/efi/EFI/Linux", "/efi/EFI/Linux", "/boot/EFI/Linux")
_SYSTEMD_BOOT = ("/boot/efi/EFI/systemd", "/efi/EFI/systemd", "/boot/EFI/systemd")
_GRUB_LINUX = re.compile(r"^\s*linux(?:efi|16)?\s+(\S+)[ \t]*(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class BootFacts:
    """`loader` is grub or systemd-boot, None when neither is there; `kernels` are release strings, `ukis` file paths.

    `command_line` is that of the entry that comes first, None when it cannot be read.
    """

    loader: str | None
    command_line: str | None
    kernels: tuple[str, ...]
    ukis: tuple[str, ...]


def read_boot(facts: BaseFacts) -> BootFacts:
    """Look for boot loaders where distributions put them."""
    kernels = tuple(name.removeprefix("vmlinuz-") for name in facts.list("/boot") if name.startswith("vmlinuz-"))
    ukis = tuple(f"{d}/{name}" for d in UKI_DIRECTORIES for name in facts.list(d) if name.lower().endswith(".efi"))
    entries = [f"{d}/{name}" for d in LOADER_ENTRIES for name in facts.list(d) if name.endswith(".conf")]
    for path in GRUB_CONFIGS:
        text = facts.read(path)
        if text is not None:
            line = grub_command_line(text.decode("utf-8", "replace")) or _first_options(facts, entries)
            return BootFacts("grub", line, kernels, ukis)
    if ukis or any(name.startswith("systemd-boot") for d in _SYSTEMD_BOOT for name in facts.list(d)):
        return BootFacts("systemd-boot", _first_options(facts, entries), kernels, ukis)
    return BootFacts(None, _first_options(facts, entries), kernels, ukis)


def grub_command_line(config: str) -> str | None:
    """The arguments of the first `linux` command in a grub.cfg; None when there is none."""
    found = _GRUB_LINUX.search(config)
    return found.group(2).strip() if found else None


def _first_options(facts: BaseFacts, entries: list[str]) -> str | None:
    """`options` of the newest Boot Loader Specification entry, by name as boot loaders sort them."""
    for path in sorted(entries, reverse=True):
        text = (facts.read(path) or b"").decode("utf-8", "replace")
        options = [line.split(None, 1)[1] for line in text.splitlines() if re.match(r"options\s+\S", line)]
        if options:
            return " ".join(options).strip()
    return None
