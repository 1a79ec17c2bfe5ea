"""The OS tree: the base image's files as one directory tree that can be changed, cut up as the new disk will be.

The base's filesystems are mounted read-only, and an overlay over each collects the changes. Every mount point of the
planned disk is a mount of its own in the tree, so that what a program writes lands in the filesystem it belongs to, and
a view of one mount without those below it is exactly the content of one filesystem.

FAT is the exception: the host may not be able to mount it, so its files are copied out to a plain directory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from twinroot.base.damage import unreadable
from twinroot.base.facts import BaseFacts
from twinroot.errors import CommandError, InputError
from twinroot.plan.disk import PlannedDisk
from twinroot.plan.facts import BaseFilesystem
from twinroot.sandbox.mounts import Mounts, copy_status
from twinroot.sandbox.paths import resolve_inside
from twinroot.tools import fat
from twinroot.tools.run import run


@dataclass(frozen=True)
class Layer:
    """One filesystem of the tree: `changes` holds what is not as in `base`, or everything where there is no `base`."""

    changes: Path
    base: Path | None


@dataclass(frozen=True)
class Tree:
    """The assembled tree. `root` shows it whole; `views` make parts of it visible; `layers` by mount point."""

    root: Path
    scratch: Path
    layers: Mapping[str, Layer]

    def is_changed(self, path: Path) -> bool:
        """Whether a path below `root`, without links on the way to it, is not simply that of the base."""
        inside = "/" + str(path.relative_to(self.root))
        mount = max((m for m in self.layers if inside.startswith(m.rstrip("/") + "/")), key=len)
        return os.path.lexists(self.layers[mount].changes / inside[len(mount) :].lstrip("/"))

    def view(self, mounts: Mounts, path: str) -> Path:
        """The content of the one filesystem mounted at `path`, without the mounts below it."""
        return mounts.bind(resolve_inside(self.root, path), self.scratch / "views" / _name(path))


CHANGES = ("upper", "parts")
"""The folders of `scratch` that hold all that makes a tree differ from its base."""


def assemble(
    facts: BaseFacts, disk: PlannedDisk, scratch: Path, mounts: Mounts, *, privileged: bool, changed: bool = False
) -> Tree:
    """Mount the tree below `scratch`; everything mounted is pushed on `mounts`.

    `changed` says that the `CHANGES` of an earlier tree of the same base and disk lie in `scratch` already.
    """
    base = {f.mount_point or "/": _open_base(facts, f, scratch, mounts, privileged) for f in facts.mounted}
    root = scratch / "tree"
    targets = [placed.mount.path for placed in disk.mounts]
    mounts.overlay(base["/"], scratch / "upper/root", scratch / "work/root", root, unprivileged=not privileged)
    layers = {"/": Layer(scratch / "upper/root", base["/"])}
    for placed in disk.mounts:
        path = placed.mount.path
        if path == "/":
            continue
        source = _base_content(base, path)
        target = _mount_point(root, path)
        if source and path not in base and not changed:
            # The content moves to a filesystem of its own; what lies below the mount point would be dead weight.
            _empty(target)
        filesystem = placed.partition.filesystem
        fat_type = filesystem is not None and filesystem.type == "vfat"
        layers[path] = _mount_part(source, path, target, scratch, mounts, fat_type=fat_type, privileged=privileged)
    for path, directory in base.items():
        if path not in targets and not changed:
            target = _mount_point(root, path)
            run(["cp", "--archive", "--no-target-directory", directory, target])
    return Tree(root, scratch, layers)


def _open_base(facts: BaseFacts, filesystem: BaseFilesystem, scratch: Path, mounts: Mounts, privileged: bool) -> Path:
    directory = scratch / "base" / _name(filesystem.mount_point or "/")
    raw = facts.disk.path
    opened = facts.opened.get(filesystem.partition.number)
    if opened:
        return opened.view(filesystem.subvolume)
    try:
        if filesystem.type == "vfat":
            fat.extract(raw, filesystem.offset, directory)
            return directory
        return mounts.filesystem(
            raw, filesystem.offset, filesystem.size, filesystem.type or "ext4", directory, unprivileged=not privileged
        )
    except CommandError as error:
        if "No space left" in error.output:
            raise
        raise unreadable(facts.name, raw, filesystem, error) from error


def _mount_part(
    source: Path | None, path: str, target: Path, scratch: Path, mounts: Mounts, *, fat_type: bool, privileged: bool
) -> Layer:
    if source is None or fat_type:
        part = scratch / "parts" / _name(path)
        if part.exists():
            mounts.bind(part, target)  # from an earlier tree
            return Layer(part, source)
        part.mkdir(parents=True)
        if source:
            run(["cp", "--recursive", "--preserve=timestamps", "--no-target-directory", source, part])
        else:
            copy_status(target, part)
        mounts.bind(part, target)
        return Layer(part, source)
    upper, work = scratch / "upper" / _name(path), scratch / "work" / _name(path)
    mounts.overlay(source, upper, work, target, unprivileged=not privileged)
    return Layer(upper, source)


def _base_content(base: dict[str, Path], path: str) -> Path | None:
    """The directory that holds the base's content for a mount point; None when the base has none."""
    for mount in sorted(base, key=len, reverse=True):
        prefix = mount.rstrip("/")
        if path == mount or path.startswith(prefix + "/"):
            found = resolve_inside(base[mount], path[len(prefix) :])
            return found if found.is_dir() and any(found.iterdir()) else None
    return None


def _mount_point(root: Path, path: str) -> Path:
    target = resolve_inside(root, path)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"the mount point {path} is not a directory in the image") from error
    return target


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _name(path: str) -> str:
    """A directory name for a mount point, another one for every other."""
    return quote(path, safe="")
