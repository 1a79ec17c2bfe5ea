"""Filling filesystems that only the kernel can write: xfs and btrfs, mounted through a loop device.

That takes root: `mkfs.xfs -p` and `mkfs.btrfs --rootdir` keep neither all attributes nor subvolumes. The mount lies in
our own namespace and ends with us.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from twinroot.errors import CommandError, HostError, InputError
from twinroot.plan.disk import PlannedFilesystem
from twinroot.sandbox.mounts import writable
from twinroot.tools import btrfs, xfs
from twinroot.tools.run import require, run

TYPES = ("xfs", "btrfs")
_PROGRAMS = {"xfs": ("mkfs.xfs", "xfs_repair"), "btrfs": ("mkfs.btrfs", "btrfs")}


def require_types(types: Collection[str]) -> None:
    """HostError when filesystems of these types cannot be made here: no root, or a program is missing."""
    for fs_type in sorted(set(types) & set(TYPES)):
        require(_PROGRAMS[fs_type])
        if os.geteuid() != 0:
            raise HostError(
                f"a filesystem of type {fs_type} can only be read or made as root, as the kernel has to mount it",
                hint="run as root, or use ext4",
            )


def make_mounted(
    filesystem: PlannedFilesystem, image: Path, size: int, views: Mapping[str, Path], features: Sequence[str]
) -> None:
    """Make a filesystem of `size` bytes in `image`, with the content of `views` by subvolume ("" for its top).

    CommandError when it does not fit. It is checked before it is returned.
    """
    program = xfs if filesystem.type == "xfs" else btrfs
    program.make(image, size, features=features, uuid=filesystem.uuid, label=filesystem.label)
    # nouuid: the base image may be mounted with the same identity.
    options = "nouuid" if filesystem.type == "xfs" else "defaults"
    with writable(image, filesystem.type, image.with_suffix(".mount"), options) as top:
        _make_subvolumes(filesystem, top)
        for path, view in views.items():
            _copy(view, top / path, path)
    program.check(image)


def _make_subvolumes(filesystem: PlannedFilesystem, top: Path) -> None:
    volumes = sorted(filesystem.subvolumes, key=lambda volume: volume.path.split("/"))
    if any(volume.referenced_limit or volume.exclusive_limit for volume in volumes):
        btrfs.enable_quota(top)
    for volume in volumes:
        place = top / volume.path
        place.parent.mkdir(parents=True, exist_ok=True)
        btrfs.create_subvolume(place)
        for size, exclusive in ((volume.referenced_limit, False), (volume.exclusive_limit, True)):
            if size is not None:
                btrfs.limit(place, size, exclusive=exclusive)


def _copy(view: Path, target: Path, subvolume: str) -> None:
    """Copy everything with its owners, times, links, attributes and holes."""
    try:
        run(["cp", "--archive", "--sparse=always", "--no-target-directory", view, target])
    except CommandError as error:
        if "quota exceeded" in error.output:
            raise InputError(
                f"the content of the subvolume {subvolume} is larger than its quota allows",
                hint="raise referencedLimit or exclusiveLimit of the subvolume",
            ) from error
        raise
