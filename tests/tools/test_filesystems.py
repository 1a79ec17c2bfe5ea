"""Making a partition's filesystem from a tree: what does not fit is told rightly, what cannot be stored is named."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from twinroot.distro.distro import recognise
from twinroot.errors import InputError
from twinroot.formats import gpt
from twinroot.plan.disk import Mount, PlannedFilesystem, PlannedPartition
from twinroot.storage.filesystems import make_filesystem, tree_size
from twinroot.tools import e2fsprogs, fat
from twinroot.tools.e2fsprogs import Location
from twinroot.units import LINUX_GENERIC, MIB

SEED = "11111111-2222-4333-8444-555555555555"
DISTRO = recognise({"ID": "debian", "VERSION_ID": "12"})
FIELD = "storage.disks[0].partitions[1].size ('root-a')"


def partition(kind: str, size: int, mount: str | None = "/somewhere") -> PlannedPartition:
    entry = gpt.Partition(2, LINUX_GENERIC, UUID(SEED), 2048, 2048 + size // 512 - 1, name="root-a")
    uuid = "1A2B-3C4D" if kind == "vfat" else SEED
    filesystem = PlannedFilesystem(kind, uuid, "", Mount(mount, "defaults") if mount else None)
    return PlannedPartition(entry, MIB, size, FIELD, filesystem)


def make(wanted: PlannedPartition, tree: Path, image: Path) -> None:
    features = DISTRO.features(wanted.filesystem.type if wanted.filesystem else "", boot=False)
    make_filesystem(wanted, {"": tree}, image, features=features, hash_seed=SEED)


def one_large_file(tree: Path) -> None:
    (tree / "large").write_bytes(os.urandom(20 * MIB))


def many_small_files(tree: Path) -> None:
    (tree / "below").mkdir()
    for index in range(900):
        (tree / f"below/{index:05}").write_bytes(b"x")


def one_directory_deep_down(tree: Path) -> None:
    (tree / "/".join(["deep"] * 300)).mkdir(parents=True)


@pytest.mark.parametrize(
    ("kind", "size", "fill"),
    [
        ("ext4", 16 * MIB, one_large_file),
        ("ext4", 2 * MIB, many_small_files),
        ("ext4", 4 * MIB, many_small_files),
        ("ext4", MIB, one_directory_deep_down),
        ("ext4", 64 * 1024, one_directory_deep_down),
        ("vfat", 8 * MIB, one_large_file),
        ("vfat", MIB, many_small_files),
        ("vfat", 64 * 1024, one_large_file),
    ],
)
def test_what_is_missing_is_told_rightly(tmp_path: Path, kind: str, size: int, fill: object) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    assert callable(fill)
    fill(tree)
    small = partition(kind, size)
    with pytest.raises(InputError) as caught:
        make(small, tree, tmp_path / "image")
    assert not (tmp_path / "image").exists()
    assert FIELD in (caught.value.hint or "")
    found = re.search(r"the content of /somewhere needs (.*), but .*: (\d+) bytes are missing", caught.value.message)
    assert found is not None
    missing = int(found.group(2))
    assert missing > 0
    assert size + missing < 2 * tree_size(tree) + 8 * MIB
    make(replace(small, size=size + missing), tree, tmp_path / "image")
    assert (tmp_path / "image").stat().st_size == size + missing
    if kind == "ext4":
        e2fsprogs.check(Location(tmp_path / "image"))


@pytest.mark.parametrize("kind", ["ext4", "vfat"])
def test_a_filesystem_without_a_mount_point_that_is_too_small(tmp_path: Path, kind: str) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(InputError, match="bytes are missing"):
        make(partition(kind, 16 * 1024, None), tmp_path / "tree", tmp_path / "image")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("EFI/link", "/boot/efi/EFI/link cannot be stored on a FAT filesystem: it is a symbolic link"),
        ("EFI/pipe", "/boot/efi/EFI/pipe .*neither a file nor a directory"),
        ("what?", "not allowed"),
        ("two\nlines", "not allowed"),
        ("back\\slash", "not allowed"),
        (b"\xff\xfe", "not allowed"),
        ("efi", "/boot/efi/efi .* differs from 'EFI' in case only"),
    ],
)
def test_what_fat_cannot_hold_is_named(tmp_path: Path, name: str | bytes, message: str) -> None:
    tree = tmp_path / "tree"
    (tree / "EFI").mkdir(parents=True)
    path = tree / os.fsdecode(name)
    if path.name == "link":
        path.symlink_to("/etc/shadow")
    elif path.name == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("x")
    with pytest.raises(InputError, match=message) as caught:
        make(partition("vfat", 8 * MIB, "/boot/efi"), tree, tmp_path / "image")
    str(caught.value).encode()


def test_fat_and_ext4_have_the_size_of_the_partition(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "EFI").mkdir(parents=True)
    (tree / "EFI/file").write_text("x")
    for kind, size in (("vfat", 8 * MIB), ("ext4", 9 * MIB)):
        make(partition(kind, size), tree, tmp_path / kind)
        assert (tmp_path / kind).stat().st_size == size
    assert fat.read_file(tmp_path / "vfat", 0, "/EFI/file") == b"x"
    assert e2fsprogs.read_file(Location(tmp_path / "ext4"), "/EFI/file") == b"x"


def test_tree_size_counts_links_once_and_holes_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 5000)
    os.link(tmp_path / "a", tmp_path / "b")
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(50 * MIB)
    assert tree_size(tmp_path) == 4096 + 8192 + 4096


@pytest.mark.parametrize(
    "features",
    [
        ("sparse_super", "large_file", "filetype", "dir_index", "ext_attr", "has_journal", "resize_inode"),
        ("sparse_super", "large_file", "filetype", "ext_attr", "extent", "extra_isize", "64bit", "uninit_bg"),
        (*DISTRO.ext4, "inline_data", "needs_recovery"),
        tuple(name for name in DISTRO.ext4 if name not in ("sparse_super", "resize_inode")),
        tuple(name for name in DISTRO.ext4 if name not in ("flex_bg", "resize_inode", "has_journal")),
    ],
)
def test_features_of_the_base_are_kept_even_where_mke2fs_fills_it(tmp_path: Path, features: tuple[str, ...]) -> None:
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").write_text("here")
    wanted = partition("ext4", 300 * MIB)
    assert wanted.filesystem is not None
    make(replace(wanted, filesystem=replace(wanted.filesystem, features=features)), tree, tmp_path / "image")
    at = Location(tmp_path / "image")
    e2fsprogs.check(at)
    # debugfs shows the whole field of a file that lies in its inode.
    assert (e2fsprogs.read_file(at, "/a/b/file") or b"").rstrip(b"\0") == b"here"
    assert set(features) - {"needs_recovery"} <= set(e2fsprogs.superblock(at).features) | {"uninit_bg"}
