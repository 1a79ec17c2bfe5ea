"""Our reader of ext filesystems against those that made them: mke2fs from trees, debugfs for reading them."""

from __future__ import annotations

import os
import random
import stat
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tools.test_e2fsprogs import needs_root, rich_tree

from twinroot.errors import FormatError
from twinroot.formats.ext4.reader import Ext4
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location
from twinroot.tools.run import run
from twinroot.units import KIB, MIB

# Block size and features, each a way of keeping block maps, tables, names or small files that the others do not have.
KINDS = {
    "ext2": (1024, "none,filetype,sparse_super,large_file"),
    "ext3": (2048, "none,filetype,sparse_super,large_file,has_journal,dir_index,ext_attr"),
    "ext4": (4096, "none,filetype,sparse_super,has_journal,extent,flex_bg,64bit,metadata_csum,dir_index,ext_attr"),
    "small-blocks": (1024, "none,filetype,sparse_super,extent,64bit,metadata_csum,dir_index,ext_attr"),
    "meta-bg": (1024, "none,filetype,sparse_super,extent,meta_bg,ext_attr,dir_index"),
    "inline": (4096, "none,filetype,sparse_super,extent,inline_data,metadata_csum,ext_attr,dir_index"),
    "plain": (4096, "none"),
}


def opened(image: Path) -> Ext4:
    data = image.read_bytes()
    return Ext4(lambda offset, size: data[offset : offset + size], len(data))


def made(image: Path, tree: Path, kind: str, size: int = 48 * MIB) -> Path:
    block, features = KINDS[kind]
    with image.open("wb") as file:
        file.truncate(size)
    argv: list[str | Path] = [
        "mke2fs",
        "-q",
        "-F",
        "-b",
        str(block),
        "-I",
        "256",
        "-O",
        features,
        "-g",
        "8192",
        "-d",
        tree,
        image,
    ]
    if block != 1024:
        argv[argv.index("-g") : argv.index("-g") + 2] = []
    run(argv)
    return image


def large_tree(tree: Path) -> Path:
    """Directories of many blocks, long names, files of many extents, of three levels of blocks, and with holes."""
    rng = random.Random(1)
    (tree / "many").mkdir(parents=True)
    for number in range(1500):
        (tree / "many" / f"{number:04}-{'n' * (number % 200)}").write_text(str(number))
    (tree / "large").write_bytes(rng.randbytes(9 * MIB))
    with (tree / "holes").open("wb") as file:
        for number in range(900):
            file.seek(number * 12 * KIB)
            file.write(rng.randbytes(3000))
    (tree / "empty").write_bytes(b"")
    for size in (1, 59, 60, 61, 150, 4096):
        (tree / f"size-{size}").write_bytes(rng.randbytes(size))
    for size in (1, 59, 60, 200):
        (tree / f"link-{size}").symlink_to("t" * size)
    os.link(tree / "large", tree / "linked")
    return tree


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_as_in_the_tree(kind: str, tmp_path: Path) -> None:
    tree = large_tree(tmp_path / "tree")
    filesystem = opened(made(tmp_path / "image", tree, kind))
    found = {entry.path: entry.inode for entry in filesystem.walk() if not entry.path.startswith("/lost+found")}
    assert set(found) == {"/", *(f"/{path.relative_to(tree)}" for path in tree.rglob("*"))}
    for name, inode in found.items():
        path, status = tree / name[1:], (tree / name[1:]).lstat()
        if name == "/":
            continue
        assert (inode.mode, inode.uid, inode.gid) == (status.st_mode, status.st_uid, status.st_gid), name
        assert inode.mtime // 10**9 == int(status.st_mtime), name
        if path.is_symlink():
            assert filesystem.read(inode) == os.fsencode(path.readlink())
        elif path.is_file():
            assert inode.links == status.st_nlink, name
            assert filesystem.read(inode, 64 * MIB) == path.read_bytes(), name


@needs_root
def test_attributes_and_kinds(tmp_path: Path) -> None:
    tree = rich_tree(tmp_path / "tree")
    small, large = b"v" * 20, os.urandom(3000)
    (tree / "attributes").write_text("x")
    os.setxattr(tree / "attributes", "user.small", small)
    os.setxattr(tree / "attributes", "user.large", large)
    filesystem = opened(made(tmp_path / "image", tree, "ext4"))
    found = {entry.path[1:]: entry.inode for entry in filesystem.walk()}
    assert filesystem.attributes(found["attributes"]) == {"user.large": large, "user.small": small}
    for path in tree.rglob("*"):
        name = str(path.relative_to(tree))
        assert stat.S_IFMT(found[name].mode) == stat.S_IFMT(path.lstat().st_mode)
        if not path.is_symlink():
            expected = {key: os.getxattr(path, key) for key in os.listxattr(path)}
            assert filesystem.attributes(found[name]) == expected, name


NAMES = st.text(string.ascii_letters + string.digits + " .-_'\"äß€", min_size=1, max_size=30).filter(
    lambda name: name.strip() == name and not name.startswith(".") and name != "lost+found"
)
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=20_000), max_size=8)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(files=TREES, kind=st.sampled_from(sorted(KINDS)))
def test_reads_what_debugfs_reads(files: dict[str, bytes], kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("tree")
    tree = directory / "tree"
    tree.mkdir()
    for name, data in files.items():
        path = tree / name
        if path.exists() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    image = made(directory / "image", tree, kind, 8 * MIB)
    filesystem = opened(image)
    below: dict[str, list[str]] = {"/": []}
    for found in list(filesystem.walk())[1:]:
        parent, _, name = found.path.rpartition("/")
        below[parent or "/"].append(name)
        if stat.S_ISDIR(found.inode.mode):
            below[found.path] = []
        else:
            # debugfs 1.47.0 prints 60 zeros for an empty file that is kept in its inode.
            expected = (e2fsprogs.read_file(Location(image), found.path) or b"")[: found.inode.size]
            assert filesystem.read(found.inode) == expected
    for directory_path, names in below.items():
        assert e2fsprogs.list_directory(Location(image), directory_path) == sorted(names)


@pytest.fixture(scope="module", params=["ext2", "ext4", "inline"])
def small_image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    directory = tmp_path_factory.mktemp("small")
    tree = directory / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    for number in range(60):
        (tree / f"a/b/{number:03}").write_bytes(bytes([number]) * number * 40)
    (tree / "link").symlink_to("x" * 100)
    os.setxattr(tree / "a", "user.name", b"value" * 50)
    yield made(directory / "image", tree, request.param, 2 * MIB).read_bytes()


@cache
def places_with_data(image: bytes) -> list[int]:
    """Where in an image there is a word that is not zero."""
    words = memoryview(image).cast("I")
    return [index * 4 for index in range(1024 // 4, len(words)) if words[index]]


def read_all(data: bytes) -> None:
    """Read everything there is, as a comparison does."""
    filesystem = Ext4(lambda offset, size: data[offset : offset + size], len(data))
    for found in filesystem.walk():
        filesystem.attributes(found.inode)
        if stat.S_ISREG(found.inode.mode) or stat.S_ISLNK(found.inode.mode):
            for _ in filesystem.runs(found.inode):
                pass


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_damage_is_a_format_error_or_harmless(small_image: bytes, data: st.DataObject) -> None:
    damaged = bytearray(small_image)
    used = places_with_data(small_image)
    for _ in range(data.draw(st.integers(1, 6))):
        at = used[data.draw(st.integers(0, len(used) - 1))] + data.draw(st.integers(0, 3))
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        read_all(bytes(damaged))
    except FormatError as error:
        assert error.message


@pytest.mark.parametrize("length", [0, 100, 1500, 4096, 70_000])
def test_cut_off_is_a_format_error(small_image: bytes, length: int) -> None:
    with pytest.raises(FormatError):
        read_all(small_image[:length])


def test_directory_that_is_its_own_child(tmp_path: Path) -> None:
    (tmp_path / "tree/a/b").mkdir(parents=True)
    image = made(tmp_path / "image", tmp_path / "tree", "ext4", 8 * MIB)
    run(["debugfs", "-w", "-R", "link /a /a/b/again", image])
    with pytest.raises(FormatError, match="damaged at '/a/b/again'"):
        read_all(image.read_bytes())


def test_blocks_that_belong_to_several_files(tmp_path: Path) -> None:
    """Otherwise such an image could be read for ever."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/large").write_bytes(os.urandom(6 * MIB))
    for name in ("b", "c"):
        (tmp_path / "tree" / name).write_bytes(b"")
    image = made(tmp_path / "image", tmp_path / "tree", "ext4", 16 * MIB)
    read_all(image.read_bytes())
    for name in ("b", "c"):
        run(["debugfs", "-w", "-R", f"copy_inode /large /{name}", image])
    with pytest.raises(FormatError, match="belong to other files too"):
        read_all(image.read_bytes())


def test_unknown_feature_is_named(small_image: bytes) -> None:
    data = bytearray(small_image)
    data[1024 + 0x62] |= 0x1  # encrypt
    with pytest.raises(FormatError, match="0x10000"):
        read_all(bytes(data))
