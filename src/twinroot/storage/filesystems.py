"""Making the filesystem of one partition from a directory tree, in a file of its own."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.epoch import source_date_epoch
from twinroot.errors import CommandError, InputError
from twinroot.formats.ext4 import KNOWN, NEEDED
from twinroot.formats.ext4.volume import FullError
from twinroot.plan.disk import PlannedFilesystem, PlannedPartition
from twinroot.storage import mounted
from twinroot.storage.ext4_tree import fill
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
    "must be larger",  # xfs, below 300 MiB
    "is smaller than minimum",
    "Too few blocks",
    "isk full",
    "No free cluster",
    "Directory full",
)
# What the long names of FAT cannot hold (Microsoft FAT specification 1.03, section 7).
_NOT_IN_FAT = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|\udc80-\udcff]')


def make_filesystem(
    partition: PlannedPartition, views: Mapping[str, Path], image: Path, *, features: Sequence[str], hash_seed: str
) -> None:
    """Fill `image` with the partition's filesystem; the file is as large as the partition.

    `views` are its content: one directory by the name "", directories by the paths of subvolumes, or nothing.
    InputError saying how many bytes are missing, and which field to raise, when the content does not fit.
    """
    filesystem = partition.filesystem
    assert filesystem is not None
    work = _Work(filesystem, views, image, features, hash_seed)
    if filesystem.type == "vfat" and work.tree:
        check_fat_tree(work.tree, filesystem.mount.path if filesystem.mount else "")
    try:
        _make(work, partition.size)
    except (CommandError, FullError) as error:
        if not _no_room(error, image):
            raise
        raise _too_small(partition, work) from error


@dataclass(frozen=True)
class _Work:
    """What filesystem to make of what; its size is tried out."""

    filesystem: PlannedFilesystem
    views: Mapping[str, Path]
    image: Path
    features: Sequence[str]
    hash_seed: str

    @property
    def tree(self) -> Path | None:
        """The content of a filesystem that is mounted as a whole."""
        return self.views.get("")


def _make(work: _Work, size: int) -> None:
    filesystem, image, tree = work.filesystem, work.image, work.tree
    if filesystem.type in mounted.TYPES:
        mounted.make_mounted(filesystem, image, size, work.views, work.features)
        return
    if filesystem.type == "vfat":
        fat.make(image, size, volume_id=filesystem.uuid, label=filesystem.label, tree=tree)
        return
    wanted = frozenset(f for f in filesystem.features or work.features if f not in _STATE_FEATURES)
    # Filesystems of another kind, which only old base images have, are left to mke2fs, slower and to whole seconds.
    ours = wanted >= NEEDED and wanted <= KNOWN
    e2fsprogs.make(
        image, size, tree=None if ours else tree, features=sorted(wanted), uuid=filesystem.uuid,
        label=filesystem.label, hash_seed=work.hash_seed,
    )  # fmt: skip
    if ours and tree:
        fill(image, tree, wanted)
    if source_date_epoch() is not None:
        # What we fill has settled times already.
        e2fsprogs.reset_write_count(image) if ours else settle_filesystem(image)


def _too_small(partition: PlannedPartition, work: _Work) -> InputError:
    """Find out how much the content needs, by making the filesystem larger until it fits."""
    filesystem, image = work.filesystem, work.image
    size = round_up(max(partition.size, sum(map(tree_size, work.views.values()))), MIB) + MIB
    while not _fits(work, size):
        size = round_up(size + size // 4, MIB)
    if filesystem.type == "ext4":
        # The journal and the inode tables grow in steps with the size: what is left over may be much.
        tight = max(round_up(e2fsprogs.shrink(image), MIB), round_up(partition.size + 1, MIB))
        if tight < size and _fits(work, tight):
            size = tight
    image.unlink()
    points = ", ".join(mount.path for _, mount in filesystem.mounts)
    content = f"the content of {points}" if points else "a filesystem"
    return InputError(
        f"{content} needs {exact(size)}, but its partition has only "
        f"{exact(partition.size)}: {size - partition.size} bytes are missing",
        hint=f"raise {partition.size_field}, leaving room to grow",
    )


def _fits(work: _Work, size: int) -> bool:
    try:
        _make(work, size)
    except (CommandError, FullError) as error:
        if not _no_room(error, work.image):
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


def _no_room(error: CommandError | FullError, image: Path) -> bool:
    if isinstance(error, FullError):
        return True
    return any(text in error.output for text in _NO_ROOM) and not _host_is_full(image.parent)


def _host_is_full(directory: Path) -> bool:
    return os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize < 16 * MIB
