"""What one finds in an image: the values behind `twinroot inspect`, the same for disk images and COSI files.

`as_json` is the interface for machines. Its keys are stable; docs/reference/inspect.md explains them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from twinroot.distro.packages import InstalledPackage
from twinroot.units import partition_type_name


@dataclass(frozen=True)
class StoredImage:
    """How a COSI file holds a partition: member name, sizes in bytes, SHA-384 of the compressed bytes."""

    path: str
    compressed: int
    uncompressed: int
    sha384: str


@dataclass(frozen=True)
class PartitionFacts:
    """One partition; sizes and places in bytes, None for what is not known.

    COSI files before revision 1.2 have no partition table: there `number`, `uuid` and `start` are None and `size` is
    that of the filesystem image.
    """

    number: int | None
    label: str
    type_uuid: UUID
    uuid: UUID | None
    start: int | None
    size: int
    fs_type: str | None = None
    fs_uuid: str | None = None
    fs_label: str | None = None
    mount_point: str | None = None
    used: int | None = None
    image: StoredImage | None = None
    roothash: str | None = None

    @property
    def type_name(self) -> str | None:
        """The name of the partition type, None when it is none of the well-known ones."""
        return partition_type_name(self.type_uuid)


@dataclass(frozen=True)
class Gap:
    """A stretch of the disk that belongs to no partition, in bytes."""

    start: int
    size: int


@dataclass(frozen=True)
class DiskFacts:
    """The disk: sizes in bytes. `gaps` of less than 1 MiB, alignment and the tables themselves, are left out."""

    size: int
    sector_size: int
    uuid: UUID
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class OsSummary:
    """The operating system. `packages` is None when they could not be read; `package_format` is rpm or deb."""

    name: str
    id: str
    version: str
    architecture: str | None
    package_format: str | None
    packages: tuple[InstalledPackage, ...] | None


@dataclass(frozen=True)
class BootSummary:
    """Boot loader (grub, systemd-boot, None for unknown), first command line, kernel releases, unified kernels."""

    loader: str | None
    command_line: str | None
    kernels: tuple[str, ...]
    ukis: tuple[str, ...]


@dataclass(frozen=True)
class CosiFacts:
    """What only COSI files have. `max_window_log` is None before revision 1.2; sizes are sums over all images."""

    version: str
    max_window_log: int | None
    metadata_sha384: str
    compressed: int
    uncompressed: int


@dataclass(frozen=True)
class Inspection:
    """Everything found. `format` is cosi, raw, qcow2, vhd, vhd-fixed or vhdx; `notes` say what could not be read."""

    file: str
    format: str
    file_size: int
    allocated: int
    disk: DiskFacts | None
    partitions: tuple[PartitionFacts, ...]
    os: OsSummary | None
    boot: BootSummary | None
    image_id: str | None
    cosi: CosiFacts | None
    notes: tuple[str, ...]


def as_json(found: Inspection) -> dict[str, Any]:
    """The inspection as a JSON object; every key is always there, null where nothing is known."""
    return {
        "file": found.file,
        "format": found.format,
        "fileSize": found.file_size,
        "allocatedSize": found.allocated,
        "imageId": found.image_id,
        "disk": _disk(found.disk) if found.disk else None,
        "partitions": [_partition(partition) for partition in found.partitions],
        "os": _os(found.os) if found.os else None,
        "boot": _boot(found.boot) if found.boot else None,
        "cosi": _cosi(found.cosi) if found.cosi else None,
        "notes": list(found.notes),
    }


def _disk(disk: DiskFacts) -> dict[str, Any]:
    gaps = [{"start": gap.start, "size": gap.size} for gap in disk.gaps]
    return {"size": disk.size, "sectorSize": disk.sector_size, "uuid": str(disk.uuid), "gaps": gaps}


def _partition(found: PartitionFacts) -> dict[str, Any]:
    image = found.image
    return {
        "number": found.number,
        "label": found.label,
        "type": found.type_name,
        "typeUuid": str(found.type_uuid),
        "partUuid": str(found.uuid) if found.uuid else None,
        "start": found.start,
        "size": found.size,
        "fsType": found.fs_type,
        "fsUuid": found.fs_uuid,
        "fsLabel": found.fs_label,
        "mountPoint": found.mount_point,
        "used": found.used,
        "roothash": found.roothash,
        "image": {
            "path": image.path,
            "compressedSize": image.compressed,
            "uncompressedSize": image.uncompressed,
            "sha384": image.sha384,
        }
        if image
        else None,
    }


def _os(os: OsSummary) -> dict[str, Any]:
    packages = os.packages
    return {
        "name": os.name,
        "id": os.id,
        "version": os.version,
        "architecture": os.architecture,
        "packageFormat": os.package_format,
        "packageCount": None if packages is None else len(packages),
        "packages": None
        if packages is None
        else [{"name": p.name, "version": p.version, "release": p.release, "arch": p.arch} for p in packages],
    }


def _boot(boot: BootSummary) -> dict[str, Any]:
    return {
        "loader": boot.loader,
        "commandLine": boot.command_line,
        "kernels": list(boot.kernels),
        "ukis": list(boot.ukis),
    }


def _cosi(cosi: CosiFacts) -> dict[str, Any]:
    return {
        "version": cosi.version,
        "maxWindowLog": cosi.max_window_log,
        "metadataSha384": cosi.metadata_sha384,
        "compressedSize": cosi.compressed,
        "uncompressedSize": cosi.uncompressed,
    }
