"""From the finished tree to the content of every partition, each in a sparse file of its own."""

from __future__ import annotations

from pathlib import Path

from twinroot.base.tree import Tree
from twinroot.builder.reproducible import settle_times
from twinroot.distro.distro import Distro
from twinroot.epoch import source_date_epoch
from twinroot.events import Emit, phase
from twinroot.formats.source import FileRegion
from twinroot.output.parts import PartitionContent
from twinroot.plan.disk import PlannedDisk, PlannedPartition, mount_path
from twinroot.plan.identity import Identity
from twinroot.sandbox.mounts import Mounts
from twinroot.storage.filesystems import make_filesystem


def make_partitions(
    disk: PlannedDisk, tree: Tree, scratch: Path, distro: Distro, base: Path, identity: Identity, emit: Emit
) -> list[PartitionContent]:
    """Make every filesystem from its part of the tree; other partitions keep the base's bytes or are empty."""
    contents = []
    directory = scratch / "partitions"
    directory.mkdir()
    with phase(emit, "filesystems", "Making filesystems", total=len(disk.partitions), unit="filesystems") as advance:
        for done, partition in enumerate(disk.partitions, 1):
            image = directory / f"{partition.entry.number}.img"
            contents.append(PartitionContent(partition, _content(disk, partition, tree, image, distro, base, identity)))
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
        return FileRegion(base, partition.copy_from, partition.size)
    if partition.filesystem is None:
        with image.open("wb") as file:
            file.truncate(partition.size)
        return FileRegion(image, 0, partition.size)
    boot = disk.holding("/boot") is partition
    features = distro.ext4_boot if boot else distro.ext4
    seed = str(identity.uuid(f"hash seed {partition.entry.number}"))
    with Mounts() as mounts:
        if partition.filesystem.mount:
            view = tree.view(mounts, mount_path(partition))
            epoch = source_date_epoch()
            if epoch is not None:
                settle_times(view, tree.layers[mount_path(partition)], epoch)
        else:
            view = image.with_suffix(".empty")
            view.mkdir()
        make_filesystem(partition, view, image, features=features, hash_seed=seed)
    return FileRegion(image, 0, partition.size)
