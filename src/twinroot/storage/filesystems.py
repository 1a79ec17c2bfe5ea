"""Making the filesystem of one partition from a directory tree, in a file of its own."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from twinroot.epoch import source_date_epoch
from twinroot.errors import CommandError, InputError
from twinroot.plan.disk import PlannedFilesystem, PlannedPartition
from twinroot.storage.settled import settle_filesystem
from twinroot.tools import e2fsprogs, fat
from twinroot.units import MIB, exact, round_up

# Set by the kernel or by mke2fs itself; naming them would be refused.
_STATE_FEATURES = ("needs_recovery", "orphan_present", "large_dir", "mmp", "journal_dev")
_NO_ROOM = (
    "Could not allocate",
    "No space left",
    "No free space",
    "ot enough space",
    "too small",
    "Too few blocks",
    "isk full",
    "No free cluster",
    "Directory full",
)
# What the long names of FAT cannot hold (Microsoft FAT specification 1.03, section 7).
_NOT_IN_FAT = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|\udc80-\udcff]')


def make_filesystem(
    partition: PlannedPartition, tree: Path, image: Path, *, features: Sequence[str], hash_seed: str
) -> None:
    """Fill `image` with the partition's filesystem, made from `tree`; the file is as large as the partition.

    InputError saying how many bytes are missing, and which field to raise, when the content does not fit.
    """
    filesystem = partition.filesystem
    assert filesystem is not None
    if filesystem.type == "vfat":
        check_fat_tree(tree, filesystem.mount.path if filesystem.mount else "")
    try:
        _make(filesystem, image, partition.size, tree, features, hash_seed)
    except CommandError as error:
        if not _no_room(error, image):
            raise
        raise _too_small(partition, tree, image, features, hash_seed) from error


def _make(
    filesystem: PlannedFilesystem, image: Path, size: int, tree: Path, features: Sequence[str], hash_seed: str
) -> None:
    if filesystem.type == "vfat":
        fat.make(image, size, volume_id=filesystem.uuid, label=filesystem.label, tree=tree)
        return
    wanted = [f for f in filesystem.features or features if f not in _STATE_FEATURES]
    e2fsprogs.make(
        image, size, tree=tree, features=wanted, uuid=filesystem.uuid, label=filesystem.label, hash_seed=hash_seed
    )
    if source_date_epoch() is not None:
        settle_filesystem(image)


def _too_small(
    partition: PlannedPartition, tree: Path, image: Path, features: Sequence[str], hash_seed: str
) -> InputError:
    """Find out how much the content needs, by making the filesystem larger until it fits."""
    filesystem = partition.filesystem
    assert filesystem is not None
    size = round_up(max(partition.size, tree_size(tree)), MIB) + MIB
    while not _fits(filesystem, image, size, tree, features, hash_seed):
        size = round_up(size + size // 4, MIB)
    if filesystem.type != "vfat":
        # The journal and the inode tables grow in steps with the size: what is left over may be much.
        tight = max(round_up(e2fsprogs.shrink(image), MIB), round_up(partition.size + 1, MIB))
        if tight < size and _fits(filesystem, image, tight, tree, features, hash_seed):
            size = tight
    image.unlink()
    content = f"the content of {filesystem.mount.path}" if filesystem.mount else "a filesystem"
    return InputError(
        f"{content} needs {exact(size)}, but its partition has only "
        f"{exact(partition.size)}: {size - partition.size} bytes are missing",
        hint=f"raise {partition.size_field}, leaving room to grow",
    )


def _fits(
    filesystem: PlannedFilesystem, image: Path, size: int, tree: Path, features: Sequence[str], hash_seed: str
) -> bool:
    try:
        _make(filesystem, image, size, tree, features, hash_seed)
    except CommandError as error:
        if not _no_room(error, image):
            raise
        return False
    return True


def check_fat_tree(tree: Path, mount_point: str) -> None:
    """InputError naming the first entry of a tree that a FAT filesystem cannot hold."""
    for directory, names, files in os.walk(tree):
        names.sort()
        seen: dict[str, str] = {}
        for name in sorted((*names, *files)):
            path = Path(directory, name)
            kind = stat.S_IFMT(path.lstat().st_mode)
            other = seen.setdefault(name.casefold(), name)
            if kind not in (stat.S_IFREG, stat.S_IFDIR):
                reason = "it is a symbolic link" if kind == stat.S_IFLNK else "it is neither a file nor a directory"
            elif _NOT_IN_FAT.search(name):
                reason = "its name has characters that are not allowed there"
            elif other != name:
                reason = f"its name differs from '{other}' in case only"
            else:
                continue
            shown = f"{mount_point.rstrip('/')}/{path.relative_to(tree)}".encode(errors="replace").decode()
            raise InputError(f"{shown} cannot be stored on a FAT filesystem: {reason}")


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


def _no_room(error: CommandError, image: Path) -> bool:
    return any(text in error.output for text in _NO_ROOM) and not _host_is_full(image.parent)


def _host_is_full(directory: Path) -> bool:
    return os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize < 16 * MIB
