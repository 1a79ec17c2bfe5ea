"""xfs and btrfs filesystems: all of the tree, with the identity and the subvolumes that were planned."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from tests.isolated import isolated
from tests.trees import hostile_tree, listing, mounted_listing

from twinroot.distro.distro import recognise
from twinroot.tools import blkid
from twinroot.tools.run import run
from twinroot.units import MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount filesystems for writing")

_MAKE = """
from uuid import UUID
from twinroot.distro.distro import recognise
from twinroot.errors import HostError, InputError
from twinroot.formats import gpt
from twinroot.plan.disk import Mount, PlannedFilesystem, PlannedPartition, PlannedSubvolume
from twinroot.storage.filesystems import make_filesystem
kind, size, image, views = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
volumes = [PlannedSubvolume(path, Mount(f"/m{n}", ""), referenced, exclusive)
           for n, (path, (_, referenced, exclusive)) in enumerate(views.items()) if path]
mount = Mount("/m", "") if "" in views else None
number = sys.argv[5]
filesystem = PlannedFilesystem(kind, number, "a label", mount, subvolumes=tuple(volumes))
number = UUID(int=5)
entry = gpt.Partition(1, number, number, 2048, 2048 + size // 512 - 1)
partition = PlannedPartition(entry, 1 << 20, size, "the size", filesystem)
features = recognise({"ID": "azurelinux", "VERSION_ID": "3.0"}).features(kind, boot=False)
paths = {path: Path(view) for path, (view, _, _) in views.items()}
try:
    make_filesystem(partition, paths, image, features=features, hash_seed=filesystem.uuid)
    print(json.dumps(""))
except (HostError, InputError) as error:
    print(json.dumps(str(error)))
"""

_READ = """
from twinroot.errors import HostError
from twinroot.sandbox.mounts import Mounts
image, target = Path(sys.argv[1]), Path(sys.argv[2])
try:
    with Mounts() as mounts:
        mounts.filesystem(image, 0, image.stat().st_size, "btrfs", target, unprivileged=False)
        print(json.dumps(""))
except HostError as error:
    print(json.dumps(str(error)))
"""


def uuid_of(image: Path) -> UUID:
    """The filesystem's UUID, one for each image: btrfs knows all on the host, and refuses a second one of the same."""
    return uuid5(NAMESPACE_URL, str(image))


def make(kind: str, size: int, image: Path, views: dict[str, tuple[Path, int | None, int | None]]) -> str:
    shown = {path: (str(view), *limits) for path, (view, *limits) in views.items()}
    said = isolated(_MAKE, kind, str(size), image, json.dumps(shown), str(uuid_of(image)))
    assert isinstance(said, str)
    return said


@pytest.mark.parametrize(("kind", "options"), [("xfs", "ro,loop,noatime,norecovery"), ("btrfs", "ro,loop,noatime")])
def test_a_filesystem_holds_exactly_the_tree(tmp_path: Path, kind: str, options: str) -> None:
    # xfs holds no longer links.
    tree = hostile_tree(tmp_path / "tree", sparse=500 * MIB, longest_link=1023)
    image = tmp_path / "image"
    assert make(kind, 400 * MIB, image, {"": (tree, None, None)}) == ""
    assert mounted_listing(image, tmp_path / "mount", kind, options) == listing(tree)
    found = blkid.probe(image)
    assert (found.type, found.uuid, found.label) == (kind, str(uuid_of(image)), "a label")
    assert image.stat().st_size == 400 * MIB
    assert not list(tmp_path.glob("*.mount"))
    assert str(tmp_path) not in run(["losetup", "--list"]).stdout


def test_xfs_has_the_features_of_the_target(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    make("xfs", 400 * MIB, tmp_path / "image", {"": (tmp_path / "tree", None, None)})
    shown = run(["xfs_db", "-r", "-c", "version", tmp_path / "image"]).stdout
    assert {"NREXT64", "BIGTIME", "INOBTCNT", "RMAPBT", "REFLINK"} <= set(shown.strip().split(","))
    assert "nrext64" in recognise({"ID": "azurelinux", "VERSION_ID": "3.0"}).xfs


@contextmanager
def loops(*images: Path) -> Iterator[list[str]]:
    found = [run(["losetup", "--find", "--show", image]).stdout.strip() for image in images]
    try:
        yield found
    finally:
        run(["losetup", "--detach", *found])


def test_a_second_btrfs_of_the_same_uuid_is_told(tmp_path: Path) -> None:
    """As two builds make it that are of the same inputs, and run at once. Newer programs make it all the same."""
    (tmp_path / "tree").mkdir()
    assert make("btrfs", 200 * MIB, tmp_path / "image", {"": (tmp_path / "tree", None, None)}) == ""
    (tmp_path / "image").rename(tmp_path / "other")
    with loops(tmp_path / "other"):
        time.sleep(3)  # libblkid believes for two seconds what it found on a device
        said = make("btrfs", 200 * MIB, tmp_path / "image", {"": (tmp_path / "tree", None, None)})
    assert said == "" or "a btrfs filesystem with the same UUID is on this host already" in said


def test_a_second_btrfs_that_the_kernel_takes_for_the_first_is_told(tmp_path: Path) -> None:
    """Newer kernels tell those apart that consist of one device; of two, it is as it was with all of them."""
    devices = [tmp_path / name for name in ("a", "b")]
    for device in devices:
        with device.open("wb") as file:
            file.truncate(200 * MIB)
    run(["mkfs.btrfs", "-q", *devices])
    shutil.copyfile(devices[0], tmp_path / "copy")
    with loops(*devices) as found:
        run(["btrfs", "device", "scan", *found])
        try:
            said = isolated(_READ, tmp_path / "copy", tmp_path / "mount", before=mounting(found[0], tmp_path / "first"))
        finally:
            run(["btrfs", "device", "scan", "--forget", *found])  # not those of others
    assert "a btrfs filesystem with the same UUID is on this host already" in said


def mounting(device: str, place: Path) -> list[str | Path]:
    """A command that runs another while a filesystem is mounted, which nobody else sees."""
    place.mkdir()
    return ["unshare", "--mount", "sh", "-c", f'mount {device} {place} && exec "$@"', "sh"]


def test_btrfs_subvolumes_and_quotas(tmp_path: Path) -> None:
    for name in ("root", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "home").chmod(0o750)
    image = tmp_path / "image"
    views = {
        "@root": (tmp_path / "root", 100 * MIB, None),
        "var/@home": (tmp_path / "home", None, 50 * MIB),
    }
    assert make("btrfs", 200 * MIB, image, views) == ""
    (tmp_path / "mount").mkdir()
    script = (
        'mount -o ro,loop,subvol=/var/@home "$1" "$2" && stat -c %a "$2" && cat "$2/file" && umount "$2" && '
        'mount -o ro,loop "$1" "$2" && btrfs subvolume list "$2" && btrfs subvolume get-default "$2" && '
        'btrfs qgroup show --raw -re "$2" && ls "$2"'
    )
    shown = run(["unshare", "--mount", "sh", "-c", script, "sh", image, tmp_path / "mount"]).stdout
    assert shown.startswith("750\nhome")
    assert "path @root\n" in shown and "path var/@home\n" in shown and "ID 5 (FS_TREE)" in shown
    assert str(100 * MIB) in shown and str(50 * MIB) in shown
    assert shown.endswith("@root\nvar\n")


@pytest.mark.parametrize(
    ("kind", "size"), [("xfs", 16 * MIB), ("xfs", 300 * MIB), ("btrfs", MIB), ("btrfs", 150 * MIB)]
)
def test_what_does_not_fit_is_told(tmp_path: Path, kind: str, size: int) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/large").write_bytes(os.urandom(300 * MIB))
    said = make(kind, size, tmp_path / "image", {"": (tmp_path / "tree", None, None)})
    assert "bytes are missing" in said and "raise the size" in said
    assert not (tmp_path / "image").exists()


def test_content_beyond_a_quota_is_told(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/large").write_bytes(os.urandom(30 * MIB))
    said = make("btrfs", 200 * MIB, tmp_path / "image", {"data": (tmp_path / "tree", 10 * MIB, None)})
    assert "the content of the subvolume data is larger than its quota allows" in said
