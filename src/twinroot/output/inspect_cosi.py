"""Looking into a COSI file: its metadata and its partition table, nothing else is read or decompressed."""

from __future__ import annotations

from pathlib import Path

from twinroot.distro.distro import parse_os_release
from twinroot.distro.packages import InstalledPackage
from twinroot.formats import gpt
from twinroot.formats.cosi.layout import read_table
from twinroot.formats.cosi.model import Filesystem, ImageFile, Metadata
from twinroot.formats.cosi.reader import CosiFile, open_cosi
from twinroot.output.inspect_disk import disk_facts, os_name
from twinroot.output.inspection import (
    BootSummary,
    CosiFacts,
    Inspection,
    OsSummary,
    PartitionFacts,
    StoredImage,
)


def inspect_cosi(path: Path) -> Inspection:
    """Everything about a COSI file; FormatError when it is damaged."""
    status = path.stat()
    with open_cosi(path) as cosi:
        return cosi_inspection(cosi, status.st_size, allocated=status.st_blocks * 512)


def cosi_inspection(cosi: CosiFile, size: int, *, allocated: int) -> Inspection:
    """The same for one that is open, of so many bytes, of which so many are on this host."""
    metadata = cosi.metadata
    table = read_table(cosi)
    images = metadata.image_files().values()
    return Inspection(
        file=cosi.name,
        format="cosi",
        file_size=size,
        allocated=allocated,
        disk=disk_facts(table) if table else None,
        partitions=_partitions(metadata, table) if table else _filesystems(metadata),
        os=_system(metadata),
        boot=_boot(metadata),
        image_id=str(metadata.id) if metadata.id else None,
        cosi=CosiFacts(
            version=f"{metadata.version[0]}.{metadata.version[1]}",
            max_window_log=metadata.max_window_log,
            metadata_sha384=cosi.metadata_sha384,
            compressed=sum(image.compressed_size for image in images),
            uncompressed=sum(image.uncompressed_size for image in images),
        ),
        notes=tuple(str(finding) for finding in cosi.findings),
    )


def _partitions(metadata: Metadata, table: gpt.Table) -> tuple[PartitionFacts, ...]:
    filesystems = {filesystem.image.path: filesystem for filesystem in metadata.images}
    images = {region.number: region.image for region in metadata.partition_regions()}
    found = []
    for partition in table.partitions:
        image = images.get(partition.number)
        filesystem = filesystems.get(image.path) if image else None
        found.append(
            PartitionFacts(
                number=partition.number,
                label=partition.name,
                type_uuid=partition.type_uuid,
                uuid=partition.uuid,
                start=table.offset(partition),
                size=table.size(partition),
                image=_stored(image) if image else None,
                fs_type=filesystem.fs_type if filesystem else None,
                fs_uuid=filesystem.fs_uuid if filesystem else None,
                mount_point=filesystem.mount_point if filesystem else None,
                roothash=filesystem.verity.roothash if filesystem and filesystem.verity else None,
            )
        )
    return tuple(found)


def _filesystems(metadata: Metadata) -> tuple[PartitionFacts, ...]:
    return tuple(_filesystem(filesystem) for filesystem in metadata.images)


def _filesystem(filesystem: Filesystem) -> PartitionFacts:
    return PartitionFacts(
        number=None,
        label="",
        type_uuid=filesystem.part_type,
        uuid=None,
        start=None,
        size=filesystem.image.uncompressed_size,
        fs_type=filesystem.fs_type,
        fs_uuid=filesystem.fs_uuid,
        mount_point=filesystem.mount_point,
        image=_stored(filesystem.image),
        roothash=filesystem.verity.roothash if filesystem.verity else None,
    )


def _stored(image: ImageFile) -> StoredImage:
    return StoredImage(image.path, image.compressed_size, image.uncompressed_size, image.sha384)


def _system(metadata: Metadata) -> OsSummary:
    release = parse_os_release(metadata.os_release)
    packages = metadata.packages
    return OsSummary(
        name=os_name(release),
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        architecture=metadata.os_arch,
        # RPM packages always have a release; Debian's carry it within the version (image behaviour 27).
        package_format=("rpm" if any(p.release for p in packages) else "deb") if packages else None,
        packages=tuple(InstalledPackage(p.name, p.version, p.release or "", p.arch or "") for p in packages)
        if packages is not None
        else None,
    )


def _boot(metadata: Metadata) -> BootSummary | None:
    bootloader = metadata.bootloader
    if bootloader is None:
        return None
    entries = bootloader.entries or ()
    return BootSummary(
        loader=bootloader.type,
        command_line=entries[0].cmdline if entries else None,
        kernels=tuple(entry.kernel for entry in entries),
        ukis=tuple(entry.path for entry in entries if entry.type.startswith("uki")),
    )
