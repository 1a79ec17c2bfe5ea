"""Making the filesystem of one partition from a directory tree, in a file of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from twinroot.errors import CommandError, InputError
from twinroot.plan.disk import PlannedFilesystem, PlannedPartition
from twinroot.tools import e2fsprogs, fat
from twinroot.units import GIB, MIB, exact, round_up

# Set by the kernel or by mke2fs itself; naming them would be refused.
_STATE_FEATURES = ("needs_recovery", "orphan_present", "large_dir", "mmp", "journal_dev")
_NO_ROOM = ("Could not allocate", "No space left", "not enough space", "Disk full", "disk full")


def make_filesystem(
    partition: PlannedPartition, tree: Path, image: Path, *, features: Sequence[str], hash_seed: str
) -> None:
    """Fill `image` with the partition's filesystem, made from `tree`; the file is as large as the partition.

    InputError saying how many bytes are missing, and which field to raise, when the content does not fit.
    """
    filesystem = partition.filesystem
    assert filesystem is not None
    try:
        if filesystem.type == "vfat":
            fat.make(image, partition.size, volume_id=filesystem.uuid, label=filesystem.label, tree=tree)
        else:
            _make_ext4(image, partition.size, tree, filesystem, features, hash_seed)
    except CommandError as error:
        if not any(text in error.output for text in _NO_ROOM) or _host_is_full(image.parent):
            raise
        raise _too_small(partition, tree, image, features, hash_seed) from error


def _make_ext4(
    image: Path, size: int, tree: Path, filesystem: PlannedFilesystem, features: Sequence[str], hash_seed: str
) -> None:
    wanted = [f for f in filesystem.features or features if f not in _STATE_FEATURES]
    e2fsprogs.make(
        image, size, tree=tree, features=wanted, uuid=filesystem.uuid, label=filesystem.label, hash_seed=hash_seed
    )


def _too_small(
    partition: PlannedPartition, tree: Path, image: Path, features: Sequence[str], hash_seed: str
) -> InputError:
    """Find out how much the content needs: make it larger than needed, and shrink that to its minimum."""
    filesystem = partition.filesystem
    assert filesystem is not None and filesystem.mount is not None
    content = tree_size(tree)
    if filesystem.type == "vfat":
        needed = round_up(content + content // 16 + MIB, MIB)
    else:
        _make_ext4(image, content * 2 + GIB, tree, filesystem, features, hash_seed)
        needed = round_up(e2fsprogs.shrink(image), MIB)
    image.unlink()
    return InputError(
        f"the content of {filesystem.mount.path} needs {exact(needed)}, but its partition has only "
        f"{exact(partition.size)}: {needed - partition.size} bytes are missing",
        hint=f"raise {partition.size_field}, leaving room to grow",
    )


def tree_size(tree: Path) -> int:
    """Bytes that a tree's files take in 4 KiB blocks, holes and hard links counted once; one block per entry."""
    total, seen = 0, set()
    for directory, names, files in os.walk(tree):
        for name in (*names, *files):
            status = os.lstat(os.path.join(directory, name))  # noqa: PTH118 - names may be any bytes
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += 4096 + min(round_up(status.st_size, 4096), round_up(status.st_blocks * 512, 4096))
    return total


def _host_is_full(directory: Path) -> bool:
    return os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize < 16 * MIB
