"""What a disk holds, read without mounting anything: filesystems, mount points, distribution, single files.

ext filesystems are read through debugfs and FAT through mtools, so that none of this needs a privilege.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from twinroot.base.damage import damage_hint, unreadable
from twinroot.base.fstab import mount_problem, parse_fstab
from twinroot.base.image import RawDisk
from twinroot.base.opened import OpenedFilesystem, open_filesystems, read_plain
from twinroot.errors import CommandError, InputError
from twinroot.plan.disk import EXT_TYPES
from twinroot.plan.facts import BaseFilesystem
from twinroot.sandbox.mounts import Mounts
from twinroot.storage.fstab import FstabEntry, identifies
from twinroot.tools import blkid, e2fsprogs, fat
from twinroot.tools.e2fsprogs import Location


@dataclass(frozen=True)
class BaseFacts:
    """A disk with an operating system on it.

    `filesystems` has one entry for each partition, `further` one for each further mount of a partition (subvolumes).
    `opened` are the filesystems that are mounted for reading, by partition number; `name` is the image's, for errors.
    """

    disk: RawDisk
    filesystems: tuple[BaseFilesystem, ...]
    os_release: str
    further: tuple[BaseFilesystem, ...] = ()
    opened: Mapping[int, OpenedFilesystem] = field(default_factory=dict)
    name: str = ""

    @property
    def mounted(self) -> tuple[BaseFilesystem, ...]:
        """The filesystems with a mount point, parents before children."""
        found = (f for f in (*self.filesystems, *self.further) if f.mount_point)
        return tuple(sorted(found, key=lambda f: f.mount_point or ""))

    def read(self, path: str) -> bytes | None:
        """A file of the operating system by its absolute path; None when it is not there."""
        filesystem, inner = self.locate(path)
        opened = self.opened.get(filesystem.partition.number)
        if opened:
            return read_plain(opened.view(filesystem.subvolume), inner)
        return read_file(self.disk.path, filesystem, inner)

    def list(self, path: str) -> list[str]:
        """Names in a directory of the operating system, sorted; empty when it is not there."""
        filesystem, inner = self.locate(path)
        if filesystem.type == "vfat":
            files = fat.list_files(self.disk.path, filesystem.offset)
            prefix = inner.rstrip("/").lower() + "/"
            return sorted({f[len(prefix) :].split("/")[0] for f in files if f.lower().startswith(prefix)})
        opened = self.opened.get(filesystem.partition.number)
        if opened:
            return opened.list(f"{filesystem.subvolume}/{inner}")
        return e2fsprogs.list_directory(Location(self.disk.path, filesystem.offset), inner)

    def locate(self, path: str) -> tuple[BaseFilesystem, str]:
        """The filesystem that holds a path, and the path inside it."""
        for filesystem in reversed(self.mounted):
            mount = (filesystem.mount_point or "").rstrip("/")
            if path == mount or path.startswith(mount + "/"):
                return filesystem, path[len(mount) :] or "/"
        raise InputError(f"the image mounts no filesystem that holds {path}")


def read_file(raw: Path, filesystem: BaseFilesystem, path: str) -> bytes | None:
    """A file of one filesystem; None when it is not there or the type cannot be read without mounting."""
    if filesystem.type in EXT_TYPES:
        return e2fsprogs.read_file(Location(raw, filesystem.offset), path)
    if filesystem.type == "vfat":
        return fat.read_file(raw, filesystem.offset, path)
    return None


def list_filesystems(disk: RawDisk, name: str) -> tuple[BaseFilesystem, ...]:
    """Every partition in order of its number, probed for its filesystem; InputError for a damaged one."""
    found = []
    for partition in sorted(disk.table.partitions, key=lambda p: p.number):
        offset, size = disk.table.offset(partition), disk.table.size(partition)
        probed = blkid.probe(disk.path, offset, size)
        filesystem = BaseFilesystem(partition, offset, size, probed.type, probed.uuid, probed.label)
        if probed.type in EXT_TYPES:
            try:
                features = e2fsprogs.superblock(Location(disk.path, offset)).features
            except CommandError as error:
                raise unreadable(name, disk.path, filesystem, error) from error
            filesystem = replace(filesystem, features=features)
        found.append(filesystem)
    return tuple(found)


def read_facts(disk: RawDisk, name: str, mounts: Mounts | None = None, scratch: Path | None = None) -> BaseFacts:
    """Discover the operating system on a disk; `name` is the image's name for errors.

    The root filesystem is the one partition, or subvolume, that holds etc/fstab. With `mounts`, which only root in a
    namespace of its own has, xfs and btrfs are read too, mounted below `scratch`.
    """
    filesystems = list_filesystems(disk, name)
    opened = open_filesystems(disk.path, filesystems, scratch, mounts) if mounts and scratch else {}
    roots = list(_roots(disk, filesystems, opened))
    if len(roots) != 1:
        raise _root_error(name, disk.path, filesystems, len(roots))
    root, table = roots[0]
    entries = parse_fstab(table.decode("utf-8", "replace"))
    problem = mount_problem(entries)
    if problem:
        raise InputError(problem, where=name, hint="correct the base image's /etc/fstab")
    shown = [_with_mounts(f, entries, root, opened.get(f.partition.number)) for f in filesystems]
    _check_entries(name, entries, filesystems)
    mounted, further = tuple(first for first, *_ in shown), tuple(f for _, *others in shown for f in others)
    facts = BaseFacts(disk, mounted, "", further, opened, name)
    text = facts.read("/etc/os-release") or facts.read("/usr/lib/os-release") or b""
    return replace(facts, os_release=text.decode("utf-8", "replace"))


def _roots(
    disk: RawDisk, filesystems: Sequence[BaseFilesystem], opened: Mapping[int, OpenedFilesystem]
) -> Iterator[tuple[BaseFilesystem, bytes]]:
    """Every filesystem, or subvolume of one, that holds etc/fstab, with that."""
    for filesystem in filesystems:
        seen = opened.get(filesystem.partition.number)
        for subvolume in ("", *seen.subvolumes) if seen else ():
            table = read_plain(seen.view(subvolume), "/etc/fstab") if seen else None
            if table is not None:
                yield replace(filesystem, subvolume=subvolume), table
        if filesystem.type in EXT_TYPES and (table := read_file(disk.path, filesystem, "/etc/fstab")) is not None:
            yield filesystem, table


def _root_error(name: str, raw: Path, filesystems: Sequence[BaseFilesystem], count: int) -> InputError:
    listing = ", ".join(f"{f.partition.number}: {f.type or 'unformatted'}" for f in filesystems) or "none"
    if count > 1:
        return InputError(f"{count} partitions hold an /etc/fstab, so the root filesystem is not clear", where=name)
    unread = [f.type for f in filesystems if f.type in ("xfs", "btrfs")]
    hint = damage_hint(raw, filesystems)
    if unread and not hint:
        hint = f"a root on {' or '.join(sorted(set(map(str, unread))))} can only be read by customising as root"
    return InputError(
        f"the image has no root filesystem: no partition holds /etc/fstab (partitions: {listing})",
        where=name,
        hint=hint or "name a disk image with an installed Linux system, whose filesystems are not damaged",
    )


def _with_mounts(
    filesystem: BaseFilesystem, entries: Sequence[FstabEntry], root: BaseFilesystem, opened: OpenedFilesystem | None
) -> list[BaseFilesystem]:
    """A filesystem with its mount, one for each where it has several; without one as it is."""
    named = [e for e in entries if matches(e.source, filesystem)]
    found = [
        replace(
            filesystem, mount_point=e.mount_point, options=e.options, source=e.source,
            subvolume=_subvolume(e.options, opened),
        )
        for e in (named if opened else named[:1])
    ]  # fmt: skip
    missing = filesystem.partition == root.partition and not any(f.mount_point == "/" for f in found)
    if missing and (not found or root.subvolume):
        found.insert(0, replace(root, mount_point="/"))
    return found or [filesystem]


def _subvolume(options: str, opened: OpenedFilesystem | None) -> str:
    """The subvolume that mount options name, else the default one."""
    for option in options.split(","):
        if option.startswith("subvol="):
            return option.removeprefix("subvol=").strip("/")
        if option == "subvolid=5":
            return ""
    return opened.default if opened else ""


def matches(source: str, filesystem: BaseFilesystem) -> bool:
    """Whether an fstab source (`UUID=`, `PARTUUID=`, `LABEL=`, `PARTLABEL=`) names this partition."""
    partition = filesystem.partition
    return identifies(
        source, uuid=filesystem.uuid, label=filesystem.label, part_uuid=str(partition.uuid), part_label=partition.name
    )


def _check_entries(name: str, entries: Sequence[FstabEntry], filesystems: Sequence[BaseFilesystem]) -> None:
    unknown = ", ".join(f"{f.partition.number} ('{f.partition.name}')" for f in filesystems if f.type is None)
    hint = "use UUID=, PARTUUID=, LABEL= or PARTLABEL= of a partition in the image, or add the option noauto"
    if unknown:
        hint += f"; or a filesystem is damaged: none is recognised in partition {unknown}"
    for entry in entries:
        if not any(matches(entry.source, f) for f in filesystems):
            raise InputError(
                f"/etc/fstab mounts {entry.source} at {entry.mount_point}, which is no partition of this image",
                where=name,
                hint=hint,
            )
