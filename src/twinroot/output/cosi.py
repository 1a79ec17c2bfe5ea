"""A COSI file from partition contents: shrinks what can be shrunk, says what is inside, hands it to the writer.

What goes into the metadata: image behaviour spec §27, COSI spec §3 and §6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twinroot.boot.detect import boot_loader
from twinroot.distro.packages import InstalledPackage
from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.formats import gpt
from twinroot.formats.cosi import model
from twinroot.formats.cosi.writer import CosiPlan, FilesystemPlan, PartitionImage, write_cosi
from twinroot.formats.source import FileRegion
from twinroot.output.parts import PartitionContent
from twinroot.plan.disk import EXT_TYPES, PlannedDisk, mount_path
from twinroot.plan.identity import Identity
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location


@dataclass(frozen=True)
class OsFacts:
    """What the metadata says of the operating system. `architecture` is x86_64 or arm64."""

    architecture: str
    os_release: str
    packages: tuple[InstalledPackage, ...]


def write_cosi_image(
    path: Path,
    name: str,
    disk: PlannedDisk,
    contents: Sequence[PartitionContent],
    found: OsFacts,
    identity: Identity,
    *,
    level: int,
    emit: Emit,
) -> None:
    """Write the COSI file, which appears only when it is complete. Shrinks the filesystems in `contents` on the way.

    `name` is what people know the file as; its members are named after it.
    """
    loader = describe_boot_loader(found)
    with phase(emit, "shrink", "Shrinking filesystems", total=len(contents), unit="filesystems") as advance:
        sources = []
        for done, content in enumerate(contents, 1):
            sources.append(PartitionImage(content.partition.entry.number, shrink(content)))
            advance(done)
    plan = CosiPlan(
        image_id=identity.image_id,
        os_arch=found.architecture,
        os_release=found.os_release,
        disk_size=disk.table.disk_size,
        lba_size=disk.table.sector_size,
        gpt=gpt.primary_bytes(disk.table),
        base=Path(name).stem,
        partitions=tuple(sources),
        filesystems=tuple(_filesystems(disk)),
        packages=tuple(model.Package(p.name, p.version, p.release, p.arch) for p in found.packages),
        bootloader=loader,
    )
    with phase(emit, "cosi", f"Writing {name}", total=plan.total) as advance:
        write_cosi(path, plan, level=level, progress=advance)


def describe_boot_loader(found: OsFacts) -> model.Bootloader:
    """The metadata's boot loader object; InputError for what cannot be described yet."""
    name = boot_loader(package.name for package in found.packages)
    if name == "systemd-boot":
        raise InputError("COSI files of images that boot with systemd-boot are not built yet in this version")
    return model.Bootloader(name)


def shrink(content: PartitionContent) -> FileRegion:
    """The content with an ext filesystem of ours at its smallest, checked; anything else as it is.

    Only files that hold nothing but the filesystem are touched: what lies inside a disk image belongs to somebody.
    """
    filesystem = content.partition.filesystem
    own_file = content.source.offset == 0 and content.source.path.stat().st_size == content.source.length
    if filesystem is None or filesystem.type not in EXT_TYPES or not own_file:
        return content.source
    size = e2fsprogs.shrink(content.source.path)
    e2fsprogs.check(Location(content.source.path))
    return replace(content.source, length=size)


def _filesystems(disk: PlannedDisk) -> list[FilesystemPlan]:
    found = []
    for partition in disk.mounted:
        filesystem = partition.filesystem
        assert filesystem is not None
        found.append(
            FilesystemPlan(
                partition.entry.number,
                mount_path(partition),
                filesystem.type,
                filesystem.uuid,
                partition.entry.type_uuid,
            )
        )
    return found
