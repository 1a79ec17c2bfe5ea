"""What the metadata of two COSI files say of the same disk, as far as a reader acts on it. Pure."""

from __future__ import annotations

from twinroot.distro.distro import parse_os_release
from twinroot.formats.cosi.model import Filesystem, Metadata

Facts = dict[str, str | int | None]


def metadata_facts(metadata: Metadata | None) -> Facts:
    """Properties by name; nothing of how the file is made: its id, its images, the order of filesystems."""
    if metadata is None:
        return {}
    facts: Facts = {"architecture": metadata.os_arch}
    facts |= {f"os-release {key}": value for key, value in parse_os_release(metadata.os_release).items()}
    numbers = {region.image.path: region.number for region in metadata.partition_regions()}
    for filesystem in metadata.images:
        number = numbers.get(filesystem.image.path)
        facts |= {f"partition {number} {name}": value for name, value in _filesystem(filesystem, numbers).items()}
    loader = metadata.bootloader
    facts["boot loader"] = loader.type if loader else None
    for index, entry in enumerate((loader.entries or ()) if loader else (), 1):
        facts[f"boot entry {index}"] = f"{entry.type} {entry.path} {entry.kernel} {entry.cmdline}"
    return facts


def _filesystem(found: Filesystem, numbers: dict[str, int | None]) -> Facts:
    verity = found.verity
    return {
        "mount point": found.mount_point,
        "filesystem": found.fs_type,
        "filesystem UUID": found.fs_uuid,
        "type": str(found.part_type),
        "root hash": verity.roothash if verity else None,
        "hash partition": numbers.get(verity.image.path) if verity else None,
        "hash offset": verity.hash_offset if verity else None,
    }
