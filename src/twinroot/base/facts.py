"""What a disk holds, read without mounting anything: filesystems, mount points, distribution, single files.

ext filesystems are read through debugfs and FAT through mtools, so that none of this needs a privilege.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twinroot.base.fstab import mount_problem, parse_fstab
from twinroot.base.image import RawDisk
from twinroot.errors import InputError
from twinroot.plan.disk import EXT_TYPES
from twinroot.plan.facts import BaseFilesystem
from twinroot.storage.fstab import FstabEntry
from twinroot.tools import blkid, e2fsprogs, fat
from twinroot.tools.e2fsprogs import Location


@dataclass(frozen=True)
class BaseFacts:
    """A disk with an operating system on it."""

    disk: RawDisk
    filesystems: tuple[BaseFilesystem, ...]
    os_release: str

    @property
    def mounted(self) -> tuple[BaseFilesystem, ...]:
        """The filesystems with a mount point, parents before children."""
        return tuple(sorted((f for f in self.filesystems if f.mount_point), key=lambda f: f.mount_point or ""))

    def read(self, path: str) -> bytes | None:
        """A file of the operating system by its absolute path; None when it is not there."""
        filesystem, inner = self.locate(path)
        return read_file(self.disk.path, filesystem, inner)

    def list(self, path: str) -> list[str]:
        """Names in a directory of the operating system, sorted; empty when it is not there."""
        filesystem, inner = self.locate(path)
        if filesystem.type == "vfat":
            files = fat.list_files(self.disk.path, filesystem.offset)
            prefix = inner.rstrip("/").lower() + "/"
            return sorted({f[len(prefix) :].split("/")[0] for f in files if f.lower().startswith(prefix)})
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


def list_filesystems(disk: RawDisk) -> tuple[BaseFilesystem, ...]:
    """Every partition in order of its number, probed for its filesystem."""
    found = []
    for partition in sorted(disk.table.partitions, key=lambda p: p.number):
        offset, size = disk.table.offset(partition), disk.table.size(partition)
        probed = blkid.probe(disk.path, offset, size)
        filesystem = BaseFilesystem(partition, offset, size, probed.type, probed.uuid, probed.label)
        if probed.type in EXT_TYPES:
            filesystem = replace(filesystem, features=e2fsprogs.superblock(Location(disk.path, offset)).features)
        found.append(filesystem)
    return tuple(found)


def read_facts(disk: RawDisk, name: str) -> BaseFacts:
    """Discover the operating system on a disk; `name` is the image's name for errors.

    The root filesystem is the one partition that holds etc/fstab.
    """
    filesystems = list_filesystems(disk)
    roots = [f for f in filesystems if f.type in EXT_TYPES and read_file(disk.path, f, "/etc/fstab") is not None]
    if len(roots) != 1:
        raise _root_error(name, filesystems, len(roots))
    entries = parse_fstab((read_file(disk.path, roots[0], "/etc/fstab") or b"").decode("utf-8", "replace"))
    problem = mount_problem(entries)
    if problem:
        raise InputError(problem, where=name, hint="correct the base image's /etc/fstab")
    mounted = tuple(_with_mount(f, entries, roots[0]) for f in filesystems)
    _check_entries(name, entries, filesystems)
    facts = BaseFacts(disk, mounted, "")
    text = facts.read("/etc/os-release") or facts.read("/usr/lib/os-release") or b""
    return BaseFacts(disk, mounted, text.decode("utf-8", "replace"))


def _root_error(name: str, filesystems: Sequence[BaseFilesystem], count: int) -> InputError:
    listing = ", ".join(f"{f.partition.number}: {f.type or 'unformatted'}" for f in filesystems) or "none"
    if count > 1:
        return InputError(f"{count} partitions hold an /etc/fstab, so the root filesystem is not clear", where=name)
    unread = [f.type for f in filesystems if f.type in ("xfs", "btrfs")]
    hint = (
        f"base images with a root on {' or '.join(sorted(set(map(str, unread))))} are not supported yet"
        if unread
        else None
    )
    return InputError(
        f"the image has no root filesystem: no partition holds /etc/fstab (partitions: {listing})",
        where=name,
        hint=hint or "name a disk image with an installed Linux system",
    )


def _with_mount(filesystem: BaseFilesystem, entries: Sequence[FstabEntry], root: BaseFilesystem) -> BaseFilesystem:
    entry = next((e for e in entries if matches(e.source, filesystem)), None)
    mount_point = entry.mount_point if entry else "/" if filesystem is root else None
    if entry is None:
        return replace(filesystem, mount_point=mount_point)
    return replace(filesystem, mount_point=mount_point, options=entry.options, source=entry.source)


def matches(source: str, filesystem: BaseFilesystem) -> bool:
    """Whether an fstab source (`UUID=`, `PARTUUID=`, `LABEL=`, `PARTLABEL=`) names this partition."""
    kind, _, value = source.replace('"', "").partition("=")
    value = value or source
    match kind:
        case "UUID":
            return (filesystem.uuid or "").lower() == value.lower()
        case "PARTUUID":
            return str(filesystem.partition.uuid) == value.lower()
        case "LABEL":
            return filesystem.label == value
        case "PARTLABEL":
            return filesystem.partition.name == value
        case _:
            return False


def _check_entries(name: str, entries: Sequence[FstabEntry], filesystems: Sequence[BaseFilesystem]) -> None:
    for entry in entries:
        if not any(matches(entry.source, f) for f in filesystems):
            raise InputError(
                f"/etc/fstab mounts {entry.source} at {entry.mount_point}, which is no partition of this image",
                where=name,
                hint="use UUID=, PARTUUID=, LABEL= or PARTLABEL= of a partition in the image, or add the option noauto",
            )
