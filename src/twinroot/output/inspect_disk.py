"""Looking into a disk image of any format, without mounting it and without privileges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from twinroot.base.architecture import program_architecture
from twinroot.base.boot_files import read_boot
from twinroot.base.facts import BaseFacts, read_facts
from twinroot.base.image import DiskImage, RawDisk, open_raw
from twinroot.base.installed import installed_packages, package_format
from twinroot.base.release_file import image_id
from twinroot.base.usage import used_bytes
from twinroot.distro.distro import parse_os_release
from twinroot.errors import CommandError, InputError, TwinrootError
from twinroot.events import Emit, phase
from twinroot.formats import gpt
from twinroot.output.inspection import BootSummary, DiskFacts, Gap, Inspection, OsSummary, PartitionFacts
from twinroot.tools import blkid
from twinroot.units import MIB


def inspect_disk(image: DiskImage, scratch: Path, emit: Emit) -> Inspection:
    """Everything about a disk image; one without an operating system has its partitions shown.

    Images that are not raw are unpacked into `scratch` first. FormatError when there is no partition table.
    """
    return inspect_raw(image, open_image(image, scratch, emit))


def inspect_raw(image: DiskImage, disk: RawDisk) -> Inspection:
    """The same for a disk image that is open already."""
    facts, notes = _operating_system(disk, image)
    found = Inspection(
        file=str(image.path),
        format=image.format,
        file_size=image.path.stat().st_size,
        allocated=image.path.stat().st_blocks * 512,
        disk=disk_facts(disk.table),
        partitions=_partitions(disk, facts),
        os=None,
        boot=None,
        image_id=None,
        cosi=None,
        notes=notes,
    )
    return _with_system(found, facts) if facts else found


def disk_facts(table: gpt.Table) -> DiskFacts:
    """The disk that a table describes."""
    return DiskFacts(table.disk_size, table.sector_size, table.disk_uuid, gaps(table))


def gaps(table: gpt.Table, smallest: int = MIB) -> tuple[Gap, ...]:
    """The stretches of at least `smallest` bytes in which another partition could lie, ascending."""
    found = []
    position = table.first_usable_lba * table.sector_size
    end = (table.last_usable_lba + 1) * table.sector_size
    for partition in table.by_start():
        found.append(Gap(position, table.offset(partition) - position))
        position = table.offset(partition) + table.size(partition)
    found.append(Gap(position, end - position))
    return tuple(gap for gap in found if gap.size >= smallest)


def open_image(image: DiskImage, scratch: Path, emit: Emit) -> RawDisk:
    """A disk image as a raw disk, unpacked into `scratch` with progress where it is not one."""
    if image.format in ("raw", "vhd-fixed"):
        return open_raw(image, scratch)
    with phase(emit, "open", "Opening the image", total=100, unit="percent") as advance:
        return open_raw(image, scratch, lambda percent: advance(int(percent)))


def _operating_system(disk: RawDisk, image: DiskImage) -> tuple[BaseFacts | None, tuple[str, ...]]:
    try:
        return read_facts(disk, str(image.path)), ()
    except InputError as error:
        return None, (f"no operating system shown: {error.message}",)
    except CommandError as error:
        cause = error.output.strip().splitlines()[-1:] or ["it cannot be read"]
        return None, (f"no operating system shown: a filesystem is damaged ({cause[0]})",)


def _partitions(disk: RawDisk, facts: BaseFacts | None) -> tuple[PartitionFacts, ...]:
    mounts = {f.partition.number: f.mount_point for f in facts.filesystems} if facts else {}
    found = []
    for partition in disk.table.partitions:
        start, size = disk.table.offset(partition), disk.table.size(partition)
        probed = blkid.probe(disk.path, start, size)
        found.append(
            PartitionFacts(
                number=partition.number,
                label=partition.name,
                type_uuid=partition.type_uuid,
                uuid=partition.uuid,
                start=start,
                size=size,
                fs_type=probed.type,
                fs_uuid=probed.uuid,
                fs_label=probed.label,
                mount_point=mounts.get(partition.number),
                used=used_bytes(disk.path, start, size, probed.type),
            )
        )
    return tuple(found)


def _with_system(found: Inspection, facts: BaseFacts) -> Inspection:
    notes: list[str] = []
    release = parse_os_release(facts.os_release)
    packages = None
    try:
        packages = installed_packages(facts)
    except TwinrootError as error:
        notes.append(f"the packages could not be read: {_first_line(error.message)}")
    boot = read_boot(facts)
    system = OsSummary(
        name=os_name(release),
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        architecture=program_architecture(facts),
        package_format=package_format(facts),
        packages=packages,
    )
    return replace(
        found,
        os=system,
        boot=BootSummary(boot.loader, boot.command_line, boot.kernels, boot.ukis),
        image_id=image_id(facts),
        notes=(*found.notes, *notes),
    )


def os_name(release: dict[str, str]) -> str:
    """The name of an operating system for people, from its os-release; empty when that says nothing."""
    return release.get("PRETTY_NAME") or " ".join(_present((release.get("NAME"), release.get("VERSION"))))


def _present(words: Iterable[str | None]) -> list[str]:
    return [word for word in words if word]


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else text
