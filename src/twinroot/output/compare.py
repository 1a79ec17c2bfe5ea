"""Comparing two images of any format: what they hold, not how it is stored.

Both are opened as raw disks (COSI files unpacked, filesystems as small as they are in it), looked into as `inspect`
does, and their filesystems read file by file. Where the blocks of a file lie, or how large a filesystem is, does not
count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.base.image import DiskImage, RawDisk, probe
from twinroot.distro.packages import InstalledPackage
from twinroot.events import Emit, phase
from twinroot.formats.cosi.model import Metadata
from twinroot.output.compare_metadata import metadata_facts
from twinroot.output.contents import first_difference, sha256
from twinroot.output.difference import Field, FileDifference, ImageDifference, PackageDifference, PartitionDifference
from twinroot.output.inspect import is_cosi
from twinroot.output.inspect_disk import inspect_raw, open_image
from twinroot.output.inspection import Inspection, PartitionFacts
from twinroot.output.listing import Entry, Listing, can_list, open_listing, partition_content
from twinroot.output.space import naming_full_disk
from twinroot.output.unpack import unpack

MODIFIED = ("modified",)
ALL_TIMES = ("modified", "accessed", "changed")


@dataclass(frozen=True)
class Side:
    """One of two images, open: its disk, what `inspect` finds on it, room for scratch files, a COSI file's metadata."""

    raw: Path
    found: Inspection
    scratch: Path
    metadata: Metadata | None = None


def compare_images(
    before: Path, after: Path, scratch: Path, emit: Emit, *, times: Sequence[str] = (), exact: bool = False
) -> ImageDifference:
    """What differs; `times` names those that count. `exact` also finds partitions of the same files in other bytes.

    `scratch` needs room for both disks, as far as they have data.

    Raises InputError and FormatError for files that are no images, or filesystems that are damaged.
    """
    with naming_full_disk(scratch, "scratch files"):
        one, other = (_open(path, scratch / name, emit) for path, name in ((before, "before"), (after, "after")))
        partitions = []
        pairs = list(_pairs(one.found.partitions, other.found.partitions))
        with phase(emit, "compare", "Comparing partitions", total=len(pairs), unit="partitions") as advance:
            for done, pair in enumerate(pairs, 1):
                difference = _partition(one, other, pair, times, exact=exact)
                partitions += [difference] if difference else []
                advance(done)
    notes = [f"{path.name}: {note}" for path, side in ((before, one), (after, other)) for note in side.found.notes]
    packages = package_differences(_packages(one.found), _packages(other.found))
    boot = _fields(_boot(one.found), _boot(other.found))
    told = [*boot, *(field for partition in partitions for field in partition.fields)]
    told += [Field(package.name, package.before, package.after) for package in packages]
    return ImageDifference(
        before=str(before),
        after=str(after),
        disk=_fields(_disk(one.found), _disk(other.found)),
        partitions=tuple(partitions),
        packages=packages,
        boot=boot,
        metadata=metadata_differences(one.metadata, other.metadata, told),
        notes=tuple(notes),
    )


def _open(path: Path, scratch: Path, emit: Emit) -> Side:
    scratch.mkdir()
    metadata = None
    if is_cosi(path):
        raw = scratch / "disk.raw"
        metadata, table = unpack(path, raw, scratch, emit, grow=False)
        image, disk = DiskImage(path, "cosi", table.disk_size), RawDisk(raw, table)
    else:
        image = probe(path)
        disk = open_image(image, scratch, emit)
    return Side(disk.path, inspect_raw(image, disk), scratch, metadata)


_Pair = tuple[PartitionFacts | None, PartitionFacts | None]


def _pairs(before: Iterable[PartitionFacts], after: Iterable[PartitionFacts]) -> Iterator[_Pair]:
    """Partitions of the same number."""
    one, other = ({p.number or 0: p for p in side} for side in (before, after))
    for number in sorted(one.keys() | other.keys()):
        yield one.get(number), other.get(number)


def _partition(one: Side, other: Side, pair: _Pair, times: Sequence[str], *, exact: bool) -> PartitionDifference | None:
    before, after = pair
    some = after or before
    assert some is not None
    name = some.mount_point or some.label or some.fs_type or "no name"
    number = some.number or 0
    if before is None or after is None:
        fields = _fields(_facts(before), _facts(after))
        return PartitionDifference(number, name, "removed" if before else "added", fields)
    fields = _fields(_facts(before), _facts(after))
    files: tuple[FileDifference, ...] = ()
    listed = before.fs_type == after.fs_type and can_list(before.fs_type)
    if listed:
        with (
            open_listing(one.raw, before, one.scratch) as old,
            open_listing(other.raw, after, other.scratch) as new,
        ):
            files = tuple(file_differences(old, new, times))
    at = None
    if not listed or (exact and not files):
        at = first_difference(partition_content(one.raw, before), partition_content(other.raw, after))
    return PartitionDifference(number, name, "changed", fields, files, at) if fields or files or at else None


def _facts(p: PartitionFacts | None) -> dict[str, str | int | None]:
    if p is None:
        return {}
    return {
        "label": p.label or None,
        "type": p.type_name or str(p.type_uuid),
        "PARTUUID": str(p.uuid) if p.uuid else None,
        "start": p.start,
        "size": p.size,
        "filesystem": p.fs_type,
        "filesystem UUID": p.fs_uuid,
        "filesystem label": p.fs_label,
        "mount point": p.mount_point,
    }


def _disk(found: Inspection) -> dict[str, str | int | None]:
    disk = found.disk
    return {"size": disk.size, "sector size": disk.sector_size, "disk id": str(disk.uuid)} if disk else {}


def _boot(found: Inspection) -> dict[str, str | int | None]:
    boot = found.boot
    if boot is None:
        return {}
    kernels, ukis = (" ".join(values) or None for values in (boot.kernels, boot.ukis))
    return {
        "boot loader": boot.loader,
        "command line": boot.command_line,
        "kernels": kernels,
        "unified kernels": ukis,
    }


def metadata_differences(before: Metadata | None, after: Metadata | None, told: Iterable[Field]) -> tuple[Field, ...]:
    """In what two COSI files say something else of their disks, but for what was `told` of these. Pure."""
    if before is None or after is None:
        return ()
    packages = package_differences(_listed(before), _listed(after))
    fields = _fields(metadata_facts(before), metadata_facts(after))
    fields += tuple(Field(f"package {package.name}", package.before, package.after) for package in packages)
    known = {(field.before, field.after) for field in told}
    return tuple(field for field in fields if (field.before, field.after) not in known)


def _listed(metadata: Metadata) -> list[InstalledPackage]:
    return [InstalledPackage(p.name, p.version, p.release or "", p.arch or "") for p in metadata.packages or ()]


def _packages(found: Inspection) -> Sequence[InstalledPackage]:
    return (found.os.packages or ()) if found.os else ()


def package_differences(
    before: Sequence[InstalledPackage], after: Sequence[InstalledPackage]
) -> tuple[PackageDifference, ...]:
    """Packages that only one side has, or in other versions, by name. Pure."""
    one, other = _versions(before), _versions(after)
    return tuple(
        PackageDifference(name, one.get(name), other.get(name))
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    )


def _versions(packages: Sequence[InstalledPackage]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for p in packages:
        version = f"{p.version}-{p.release}" if p.release else p.version
        found.setdefault(p.name, []).append(f"{version}.{p.arch}" if p.arch else version)
    return {name: " ".join(sorted(versions)) for name, versions in found.items()}


def file_differences(before: Listing, after: Listing, times: Sequence[str] = ()) -> Iterator[FileDifference]:
    """Every entry that only one side has or that is not the same, by path. Reads the contents of what may be."""
    for path in sorted(before.keys() | after.keys(), key=lambda path: path.split("/")):
        old, new = before.get(path), after.get(path)
        if old and new:
            changed = _changed(old, new, times)
            if changed:
                yield changed
        elif entry := new or old:
            fields = _fields(_entry_facts(old, times), _entry_facts(new, times))
            change = "added" if new else "removed"
            yield FileDifference(path, change, entry.kind, fields, sha256=(_hash(old), _hash(new)))


def _changed(old: Entry, new: Entry, times: Sequence[str]) -> FileDifference | None:
    fields = _fields(_entry_facts(old, times), _entry_facts(new, times))
    at = first_difference(old.content, new.content) if old.content and new.content else None
    if not fields and not at:
        return None
    hashes = (_hash(old), _hash(new)) if at or old.kind != new.kind else (None, None)
    return FileDifference(old.path, "changed", new.kind, fields, at, hashes)


def _hash(entry: Entry | None) -> str | None:
    return sha256(entry.content) if entry and entry.content else None


def _entry_facts(entry: Entry | None, times: Sequence[str]) -> dict[str, str | int | None]:
    if entry is None:
        return {}
    facts: dict[str, str | int | None] = {
        "type": entry.kind,
        "mode": f"{entry.mode:04o}" if entry.mode is not None else None,
        "owner": f"{entry.uid}:{entry.gid}" if entry.uid is not None else None,
        "size": entry.size,
        "hard links": entry.links,
        "target": _shown(entry.target),
        "device": entry.device,
    }
    facts |= {f"attribute {name}": value.hex() for name, value in entry.attributes.items()}
    facts |= {f"{name} (ns)": entry.times[name] for name in times if name in entry.times}
    return facts


def _shown(text: str | None) -> str | None:
    return None if text is None else os.fsencode(text).decode("utf-8", "backslashreplace")


def _fields(before: dict[str, str | int | None], after: dict[str, str | int | None]) -> tuple[Field, ...]:
    """The properties that differ, in the order in which they are named."""
    names = dict.fromkeys([*before, *after])
    return tuple(
        Field(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )
