"""What we must know about a distribution, as data, and recognising one by its os-release.

Nothing outside this package asks which distribution an image holds: it asks a `Distro` for what it needs. Facts: image
behaviour spec §4 (filesystem features), §16 (grub), §21 (initramfs), §35 (matrix).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from twinroot.errors import InputError

# ext4 features by target, never the build host's defaults: the target's kernel and grub must read the result.
_EXT4_BASE = (
    "sparse_super",
    "large_file",
    "filetype",
    "resize_inode",
    "dir_index",
    "ext_attr",
    "has_journal",
    "extent",
    "huge_file",
    "flex_bg",
    "metadata_csum",
    "64bit",
    "dir_nlink",
    "extra_isize",
)


@dataclass(frozen=True)
class GrubFacts:
    """Where a distribution keeps grub, and what a fresh `/etc/default/grub` holds.

    `stubs` are the directories on the ESP in which grub looks for its first configuration. `timeout`, `command_line`
    (for every menu entry), `default_command_line` (for all but recovery entries) and `lines` go into
    `/etc/default/grub` on a hard reset. `kernelopts` says that the command line ends in the
    literal `$kernelopts`, which grub expands from its environment block when booting.
    """

    directory: str
    mkconfig: str
    stubs: tuple[str, ...]
    timeout: int
    command_line: tuple[str, ...]
    lines: tuple[str, ...]
    kernelopts: bool
    sources_snippets: bool
    default_command_line: tuple[str, ...] = ()


@dataclass(frozen=True)
class Distro:
    """One distribution release. `packages` names its package format: "rpm" or "deb"."""

    name: str
    version: str
    packages: str
    grub: GrubFacts
    initramfs: tuple[str, ...]
    ext4: tuple[str, ...]
    ext4_boot: tuple[str, ...]


_DRACUT = ("dracut", "--force", "--regenerate-all", "--no-hostonly", "--reproducible")
_AZURE_GRUB = GrubFacts(
    directory="/boot/grub2",
    mkconfig="grub2-mkconfig",
    stubs=("boot/grub2",),
    timeout=0,
    command_line=("rd.auto=1", "net.ifnames=0", "lockdown=integrity"),
    lines=('GRUB_DISTRIBUTOR="AzureLinux"', "GRUB_DISABLE_SUBMENU=y", 'GRUB_TERMINAL_OUTPUT="console"'),
    kernelopts=True,
    sources_snippets=True,
)
_FEDORA_GRUB = GrubFacts(
    directory="/boot/grub2",
    mkconfig="grub2-mkconfig",
    stubs=("EFI/fedora", "EFI/BOOT"),
    timeout=1,
    command_line=(),
    default_command_line=("console=ttyS0", "earlyprintk=ttyS0", "rd.shell=0"),
    lines=(
        'GRUB_TERMINAL_INPUT="serial console"',
        'GRUB_TERMINAL_OUTPUT="serial console"',
        "GRUB_GFXMODE=auto",
        "GRUB_ENABLE_BLSCFG=true",
        "GRUB_DEFAULT=saved",
    ),
    kernelopts=False,
    sources_snippets=False,
)
_DEBIAN_GRUB = GrubFacts(
    directory="/boot/grub",
    mkconfig="grub-mkconfig",
    stubs=("EFI/debian", "EFI/BOOT"),
    timeout=0,
    command_line=(),
    lines=('GRUB_DISTRIBUTOR="Debian"', "GRUB_DISABLE_SUBMENU=y", 'GRUB_TERMINAL_OUTPUT="console"'),
    kernelopts=False,
    sources_snippets=False,
)


def recognise(os_release: Mapping[str, str]) -> Distro:
    """The distribution that an os-release describes; InputError naming it when we do not know it.

    A distribution of another name is handled like the first one in its `ID_LIKE` that we know.
    """
    version = os_release.get("VERSION_ID", "")
    for name in [os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()]:
        found = _known(name, version)
        if found:
            return found
    shown = os_release.get("PRETTY_NAME") or os_release.get("ID") or "an image without /etc/os-release"
    raise InputError(
        f"the base image holds a distribution that twinroot does not know: {shown}",
        hint="known are Azure Linux (azurelinux, mariner), Fedora, Debian and Ubuntu, by ID or ID_LIKE in os-release",
    )


def _known(name: str, version: str) -> Distro | None:
    major = int(match.group(1)) if (match := re.match(r"(\d+)", version)) else 0
    orphan = (*_EXT4_BASE, "orphan_file")
    if name in ("azurelinux", "mariner") and major < 4:
        features = orphan if major >= 3 else _EXT4_BASE
        return Distro("azurelinux", version, "rpm", _AZURE_GRUB, _DRACUT, features, features)
    if name in ("azurelinux", "fedora"):
        grub = _FEDORA_GRUB
        if name == "azurelinux":
            return Distro(name, version, "rpm", _azure4(grub), _DRACUT, (*orphan, "metadata_csum_seed"), orphan)
        return Distro(name, version, "rpm", grub, _DRACUT, orphan, orphan)
    if name in ("debian", "ubuntu"):
        update = ("update-initramfs", "-u", "-k", "all")
        return Distro(name, version, "deb", _debian(name), update, _EXT4_BASE, _EXT4_BASE)
    return None


def _azure4(grub: GrubFacts) -> GrubFacts:
    return replace(grub, stubs=("EFI/azurelinux", *grub.stubs))


def _debian(name: str) -> GrubFacts:
    lines = (f'GRUB_DISTRIBUTOR="{name.capitalize()}"', *_DEBIAN_GRUB.lines[1:])
    return replace(_DEBIAN_GRUB, stubs=(f"EFI/{name}", "EFI/BOOT"), lines=lines)


def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of an os-release file (os-release(5)); lines that are none are passed over."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            values[key] = _shell_word(value.strip())
    return values


def _shell_word(text: str) -> str:
    """The value of an assignment as a shell reads it; text that is no proper word loses its outer quotes."""
    if text.startswith('"'):
        # shlex knows only two of the four characters that a backslash stands before in double quotes.
        text = re.sub(r"\\([$`])", r"\1", text)
    try:
        return " ".join(shlex.split(text))
    except ValueError:
        return text.strip("\"'")
