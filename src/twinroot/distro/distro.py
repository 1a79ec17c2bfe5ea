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
_XFS_OLD = ("crc", "finobt", "reflink", "sparse")
_XFS = ("bigtime", "crc", "finobt", "inobtcount", "reflink", "rmapbt", "sparse")
_BTRFS = ("extref", "skinny-metadata", "no-holes")


@dataclass(frozen=True)
class GrubFacts:
    """Where a distribution keeps grub, and what a fresh `/etc/default/grub` holds.

    `stubs` are the directories on the ESP in which grub looks for its first configuration. `timeout`, `command_line`
    (for every menu entry), `default_command_line` (for all but recovery entries) and `lines` go into
    `/etc/default/grub` on a hard reset. `kernelopts` says that the command line ends in the
    literal `$kernelopts`, which grub expands from its environment block when booting. `bios_package` has grub
    for BIOS machines. `makes_plain_grub`: no package has a grub for EFI without a built-in prefix, as A/B machines
    need it, so that one is made of the image's modules.
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
    bios_package: str = "grub2-pc-modules"
    makes_plain_grub: bool = False

    @property
    def config(self) -> str:
        """The path of grub.cfg."""
        return f"{self.directory}/grub.cfg"


@dataclass(frozen=True)
class PackageManagerFacts:
    """What a package manager is made of: its packages, and directories that hold its data only."""

    packages: tuple[str, ...]
    directories: tuple[str, ...]


@dataclass(frozen=True)
class Distro:
    """One distribution release. `packages` names its package format: "rpm" or "deb".

    `selinux_by_default`: SELinux is on, as /etc/selinux/config says, when the kernel command line does not mention it.
    """

    name: str
    version: str
    packages: str
    grub: GrubFacts
    initramfs: tuple[str, ...]
    ext4: tuple[str, ...]
    ext4_boot: tuple[str, ...]
    manager: PackageManagerFacts
    selinux_by_default: bool
    xfs: tuple[str, ...] = _XFS
    xfs_boot: tuple[str, ...] = _XFS
    btrfs: tuple[str, ...] = (*_BTRFS, "free-space-tree")

    def features(self, fs_type: str, *, boot: bool) -> tuple[str, ...]:
        """The features to make a filesystem with; `boot` says that the boot loader reads it."""
        match fs_type:
            case "xfs":
                return self.xfs_boot if boot else self.xfs
            case "btrfs":
                return self.btrfs
            case _:
                return self.ext4_boot if boot else self.ext4


_DRACUT = ("dracut", "--force", "--regenerate-all", "--no-hostonly", "--reproducible")
# The kernels of Azure Linux 2.0 start /boot/initrd.img-*, which its mkinitrd makes; dracut would make other files.
_MKINITRD = ("mkinitrd",)
# Image behaviour spec, section 11. dpkg stays: Debian's other packages need it.
_TDNF = PackageManagerFacts(
    ("tdnf", "dnf", "rpm"),
    ("/var/lib/rpm", "/var/lib/dnf", "/usr/lib/sysimage/tdnf", "/var/cache/tdnf", "/var/cache/dnf"),
)
_DNF5 = PackageManagerFacts(
    ("dnf5", "rpm"),
    (
        "/var/lib/rpm",
        "/var/lib/dnf",
        "/usr/lib/sysimage/libdnf5",
        "/usr/lib/sysimage/rpm",
        "/var/cache/dnf",
        "/var/cache/libdnf5",
        "/var/cache/dnf5daemon-server",
    ),
)
_APT = PackageManagerFacts(("apt", "apt-utils"), ("/var/lib/apt", "/var/cache/apt"))
_AZURE_GRUB = GrubFacts(
    bios_package="grub2-pc",
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
    bios_package="grub-pc-bin",
    makes_plain_grub=True,
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
        xfs = (*_XFS, "nrext64") if major >= 3 else _XFS
        initramfs = _MKINITRD if major == 2 else _DRACUT
        return Distro("azurelinux", version, "rpm", _AZURE_GRUB, initramfs, features, features, _TDNF, major >= 3, xfs)
    if name in ("azurelinux", "fedora"):
        grub, xfs = _FEDORA_GRUB, (*_XFS, "nrext64")
        if name == "azurelinux":
            return Distro(
                name,
                version,
                "rpm",
                _azure4(grub),
                _DRACUT,
                (*orphan, "metadata_csum_seed"),
                orphan,
                _DNF5,
                True,
                xfs,
                xfs,
            )
        return Distro(name, version, "rpm", grub, _DRACUT, orphan, orphan, _DNF5, True, xfs, xfs)
    if name in ("debian", "ubuntu"):
        update = ("update-initramfs", "-u", "-k", "all")
        made = Distro(name, version, "deb", _debian(name), update, _EXT4_BASE, _EXT4_BASE, _APT, False)
        # Kernel and grub of Debian 12 are those between Ubuntu 22.04 and 24.04; a version that cannot be told is old.
        old = major < (12 if name == "debian" else 24)
        return replace(made, xfs=_XFS_OLD, xfs_boot=_XFS_OLD, btrfs=_BTRFS) if old else made
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
