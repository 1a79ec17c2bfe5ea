"""From the finished tree to the content of every partition, each in a sparse file of its own."""

from __future__ import annotations

import logging
from pathlib import Path

from twinroot.base.tree import Tree
from twinroot.base.usage import used_bytes
from twinroot.builder.reproducible import settle_times
from twinroot.distro.distro import Distro
from twinroot.epoch import source_date_epoch
from twinroot.events import Emit, phase
from twinroot.formats.source import FileRegion
from twinroot.output.disk import copy_data
from twinroot.output.parts import PartitionContent
from twinroot.plan.disk import PlannedDisk, PlannedPartition, mount_path
from twinroot.plan.identity import Identity
from twinroot.sandbox.mounts import Mounts
from twinroot.storage.filesystems import make_filesystem
from twinroot.tools import swap
from twinroot.tools.identity import set_uuid
from twinroot.units import MIB, SWAP, human

log = logging.getLogger(__name__)


def make_partitions(
    disk: PlannedDisk, tree: Tree, scratch: Path, distro: Distro, base: Path, identity: Identity, emit: Emit,
    *, core: bytes | None = None,
) -> list[PartitionContent]:  # fmt: skip
    """Make every filesystem from its part of the tree; other partitions keep the base's bytes or are empty.

    `core` is what the partition for BIOS boot holds.
    """
    contents = []
    directory = scratch / "partitions"
    directory.mkdir()
    with phase(emit, "filesystems", "Making filesystems", total=len(disk.partitions), unit="filesystems") as advance:
        for done, partition in enumerate(disk.partitions, 1):
            image = directory / f"{partition.entry.number}.img"
            if core and partition is disk.bios_boot:
                content = _bytes(image, core, partition.size)
            else:
                content = _content(disk, partition, tree, image, distro, base, identity)
            contents.append(PartitionContent(partition, content))
            advance(done)
    return contents


def _content(
    disk: PlannedDisk,
    partition: PlannedPartition,
    tree: Tree,
    image: Path,
    distro: Distro,
    base: Path,
    identity: Identity,
) -> FileRegion:
    if partition.copy_from is not None:
        region = FileRegion(base, partition.copy_from, partition.size)
        return _renewed(region, image, partition.copy_identity) if partition.copy_identity else region
    if partition.filesystem is None:
        return _unmounted(partition, image, identity)
    boot = disk.holding("/boot") is partition
    features = distro.features(partition.filesystem.type, boot=boot)
    seed = str(identity.uuid(f"hash seed {partition.entry.number}"))
    with Mounts() as mounts:
        views = {
            subvolume: _settled_view(tree, mounts, mount.path) for subvolume, mount in partition.filesystem.mounts
        }  # fmt: skip
        make_filesystem(partition, views, image, features=features, hash_seed=seed)
    _warn_of_little_room(partition, image)
    return FileRegion(image, 0, partition.size)


def _warn_of_little_room(partition: PlannedPartition, image: Path) -> None:
    """Warn of a filesystem that a running system soon fills (image behaviour spec §25)."""
    used = used_bytes(image, 0, partition.size, partition.filesystem.type if partition.filesystem else None)
    path = mount_path(partition)
    if used is None or not path:
        return
    left = partition.size - used
    if nearly_full(left, partition.size):
        log.warning("%s is nearly full: %s of %s are left", path, human(left), human(partition.size))


def nearly_full(left: int, size: int) -> bool:
    """Whether `left` bytes of a filesystem of `size` bytes are worth a warning. Pure."""
    return left <= 500 * MIB and left * 20 <= size


def _unmounted(partition: PlannedPartition, image: Path, identity: Identity) -> FileRegion:
    """A swap area where the type says so, since a system turns on what it finds of that type; otherwise zeros."""
    if partition.entry.type_uuid != SWAP:
        return _bytes(image, b"", partition.size)
    swap.make(image, partition.size, uuid=str(identity.uuid(f"swap {partition.entry.number}")))
    return FileRegion(image, 0, partition.size)


def _settled_view(tree: Tree, mounts: Mounts, path: str) -> Path:
    """The content of one filesystem, its times settled where builds are to be reproducible."""
    view, epoch = tree.view(mounts, path), source_date_epoch()
    if epoch is not None:
        settle_times(view, tree.layers[path], epoch)
    return view


def _bytes(image: Path, data: bytes, size: int) -> FileRegion:
    with image.open("wb") as file:
        file.write(data)
        file.truncate(size)
    return FileRegion(image, 0, size)


def _renewed(source: FileRegion, image: Path, identity: tuple[str, str]) -> FileRegion:
    """A copy of a base partition whose filesystem has another UUID: the base is never written to."""
    with image.open("wb") as file:
        file.truncate(source.length)
        copy_data(source, file.fileno(), 0)
    fs_type, uuid = identity
    set_uuid(image, fs_type, uuid)
    return FileRegion(image, 0, source.length)
