"""A COSI file from a disk image that may come from anywhere, without mounting it (image behaviour spec §32)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from twinroot.base.architecture import program_architecture
from twinroot.base.facts import BaseFacts, read_facts
from twinroot.base.image import DiskImage, open_raw
from twinroot.base.installed import installed_packages
from twinroot.base.release_file import image_id
from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.formats.source import FileRegion
from twinroot.output.cosi import OsFacts, write_cosi_image
from twinroot.output.identity import kept_identity
from twinroot.output.parts import PartitionContent
from twinroot.plan.disk import EXT_TYPES, HASH_TREE, Mount, PlannedDisk, PlannedFilesystem, PlannedPartition
from twinroot.plan.facts import BaseFilesystem
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location
from twinroot.units import ARCHITECTURES


def pack(image: DiskImage, target: Path, target_name: str, scratch: Path, emit: Emit, *, level: int) -> None:
    """Write `target`, which people know as `target_name`; the image file is not written to.

    The image id is the one that a customisation left in the image, else a new one. Raises InputError for an image
    whose operating system cannot be made out.
    """
    name = str(image.path)
    with phase(emit, "base", "Opening the image", total=100, unit="percent") as advance:
        disk = open_raw(image, scratch, lambda percent: advance(int(percent)))
        facts = read_facts(disk, name)
    found = _os_facts(facts, name)
    known = image_id(facts)
    planned = _planned_disk(facts)
    with phase(emit, "copy", "Copying filesystems to shrink", total=len(planned.partitions), unit="partitions") as step:
        contents = []
        for done, (partition, filesystem) in enumerate(zip(planned.partitions, facts.filesystems, strict=True), 1):
            contents.append(PartitionContent(partition, _source(facts, filesystem, scratch)))
            step(done)
    identity = kept_identity(UUID(known) if known else None, image.path)
    write_cosi_image(target, target_name, planned, contents, found, identity, level=level, emit=emit)


def _os_facts(facts: BaseFacts, name: str) -> OsFacts:
    architecture = program_architecture(facts)
    if architecture is None:
        raise InputError("the image's architecture cannot be told: it has neither bash, sh nor env", where=name)
    if architecture not in ARCHITECTURES.values():
        raise InputError(f"the image is for {architecture}, which a COSI file cannot name", where=name)
    if not facts.os_release.strip():
        raise InputError("the image has no /etc/os-release, which a COSI file must hold", where=name)
    return OsFacts(architecture, facts.os_release, installed_packages(facts))


def _planned_disk(facts: BaseFacts) -> PlannedDisk:
    partitions = tuple(_planned(filesystem) for filesystem in facts.filesystems)
    return PlannedDisk(facts.disk.table, partitions, repartitioned=False)


def _planned(found: BaseFilesystem) -> PlannedPartition:
    filesystem = None
    if found.mount_point and found.type:
        mount = Mount(found.mount_point, found.options or "defaults")
        filesystem = PlannedFilesystem(found.type, found.uuid or "", found.label or "", mount, found.features)
    return PlannedPartition(found.partition, found.offset, found.size, "", filesystem, copy_from=found.offset)


def _source(facts: BaseFacts, found: BaseFilesystem, scratch: Path) -> FileRegion:
    """A copy of its own for an ext filesystem that can be shrunk (COSI spec §6), else the bytes in the image."""
    raw = facts.disk.path
    # Beside a hash tree, no filesystem may be changed.
    verity = any(filesystem.type == HASH_TREE for filesystem in facts.filesystems)
    if found.type not in EXT_TYPES or not found.mount_point or verity:
        return FileRegion(raw, found.offset, found.size)
    at = Location(raw, found.offset)
    block = e2fsprogs.superblock(at)
    if not block.size <= found.size < block.size + block.block_size:
        return FileRegion(raw, found.offset, found.size)
    copy = scratch / f"partition-{found.partition.number}.img"
    e2fsprogs.copy_used(at, copy)
    with copy.open("r+b") as file:
        file.truncate(found.size)
    # Replays the journal of an image that was not shut down well, and is what resize2fs asks for.
    e2fsprogs.repair(Location(copy))
    return FileRegion(copy, 0, found.size)
