"""What `metadata.json` of a COSI file says, as values (COSI spec 3), and what one may find wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from twinroot.units import ARCHITECTURES

Version = tuple[int, int]
CURRENT: Version = (1, 2)

# Kernel names of the filesystem types that a reader accepts (COSI spec 3.2).
FILESYSTEM_TYPES = frozenset(
    "ext4 ext3 ext2 cramfs squashfs vfat msdos exfat iso9660 ntfs btrfs xfs".split()  # noqa: SIM905
)
# Package architectures that count as "none" (COSI spec 3.7), next to those of `units.ARCHITECTURES`.
NO_ARCHITECTURE = frozenset(
    form for word in ("noarch", "none", "all") for form in (word, word.title(), word.upper())
) | {"", "(none)", "(None)", "(NONE)"}


@dataclass(frozen=True)
class Finding:
    """One rule that a file breaks. `rule` is its id in the COSI spec (T7, V18, …), `where` a JSON path or a member."""

    rule: str
    where: str
    message: str
    error: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class ImageFile:
    """A compressed member of the archive: its name, sizes in bytes, and the SHA-384 of the compressed bytes."""

    path: str
    compressed_size: int
    uncompressed_size: int
    sha384: str


@dataclass(frozen=True)
class Verity:
    """dm-verity data: the hash tree's image and the root hash (hex).

    `hash_offset` (bytes) is set for an inline hash tree, whose image is the data image itself (image behaviour 27).
    """

    image: ImageFile
    roothash: str
    hash_offset: int | None = None


@dataclass(frozen=True)
class Filesystem:
    """A filesystem with a mount point."""

    image: ImageFile
    mount_point: str
    fs_type: str
    fs_uuid: str
    part_type: UUID
    verity: Verity | None = None


@dataclass(frozen=True)
class Region:
    """A region of the disk. `number` is the GPT entry index from 1; None for the GPT itself (`type` primary-gpt)."""

    image: ImageFile
    type: str
    number: int | None = None


@dataclass(frozen=True)
class Disk:
    """The source disk; `size` and `lba_size` in bytes. Regions of unknown type are kept."""

    size: int
    type: str
    lba_size: int
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Package:
    """An installed package; `release` and `arch` exist since revision 1.1."""

    name: str
    version: str
    release: str | None = None
    arch: str | None = None


@dataclass(frozen=True)
class BootEntry:
    """A systemd-boot entry: `type` is uki-standalone, uki-config or config; `path` absolute from the root."""

    type: str
    path: str
    cmdline: str
    kernel: str


@dataclass(frozen=True)
class Bootloader:
    """`type` is grub or systemd-boot. `entries` is None without a `systemdBoot` object."""

    type: str
    entries: tuple[BootEntry, ...] | None = None


@dataclass(frozen=True)
class Metadata:
    """The whole document. What a revision did not have yet is None. `os_arch` is x86_64 or arm64."""

    version: Version
    os_arch: str
    os_release: str
    images: tuple[Filesystem, ...]
    disk: Disk | None = None
    packages: tuple[Package, ...] | None = None
    bootloader: Bootloader | None = None
    id: UUID | None = None
    max_window_log: int | None = None

    def image_files(self) -> dict[str, ImageFile]:
        """Every image by its path, in the order of the regions, then of filesystems and hash trees."""
        found: dict[str, ImageFile] = {}
        for region in self.disk.regions if self.disk else ():
            found.setdefault(region.image.path, region.image)
        for filesystem in self.images:
            found.setdefault(filesystem.image.path, filesystem.image)
            if filesystem.verity:
                found.setdefault(filesystem.verity.image.path, filesystem.verity.image)
        return found

    def partition_regions(self) -> tuple[Region, ...]:
        """The regions of partitions, in their order in the document."""
        return tuple(region for region in self.disk.regions if region.type == "partition") if self.disk else ()

    def gpt_region(self) -> Region | None:
        """The region of the partition table, None before revision 1.2."""
        regions = self.disk.regions if self.disk else ()
        return next((region for region in regions if region.type == "primary-gpt"), None)

    def release_field(self, key: str) -> str | None:
        """A value of os-release, quotes removed; None if it is not set."""
        for line in self.os_release.splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and name == key:
                return value.strip('"').strip("'")
        return None


def package_architecture(arch: str) -> str:
    """The architecture to write for a package so that every reader accepts the file.

    A reader that meets an architecture it does not know (`i686`) refuses the whole file (COSI spec 3.7), so such
    packages are listed without one.
    """
    return arch if arch in NO_ARCHITECTURE or arch.lower() in ARCHITECTURES else "(none)"
