"""ext4 filesystems that we fill ourselves: all of the tree and nothing else, valid, and the same bytes every time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.trees import TIMES, hostile_tree, listing, mounted_listing

from twinroot.distro.distro import recognise
from twinroot.errors import InputError
from twinroot.formats.ext4.volume import FullError
from twinroot.storage.ext4_tree import fill
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location
from twinroot.tools.run import run
from twinroot.units import GIB, MIB

UUID = "11111111-2222-4333-8444-555555555555"
AZURE3 = frozenset(recognise({"ID": "azurelinux", "VERSION_ID": "3.0"}).ext4)
AZURE4 = frozenset(recognise({"ID": "azurelinux", "VERSION_ID": "4.0"}).ext4)
DEBIAN = frozenset(recognise({"ID": "debian"}).ext4)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for owners, device nodes and mounts")


def make(image: Path, tree: Path, size: int = 256 * MIB, features: frozenset[str] = AZURE3) -> None:
    e2fsprogs.make(image, size, tree=None, features=sorted(features), uuid=UUID, label="a label", hash_seed=UUID)
    fill(image, tree, features)


@needs_root
@pytest.mark.parametrize("features", [AZURE3, AZURE4, DEBIAN], ids=["azure3", "azure4", "debian"])
@pytest.mark.parametrize("size", [256 * MIB, 40 * GIB])
def test_a_filesystem_holds_exactly_the_tree(tmp_path: Path, features: frozenset[str], size: int) -> None:
    tree = hostile_tree(tmp_path / "tree")
    wanted = listing(tree)
    image = tmp_path / "image"
    make(image, tree, size, features)
    e2fsprogs.check(Location(image))
    assert mounted_listing(image, tmp_path / "mount") == wanted
    e2fsprogs.shrink(image)
    e2fsprogs.check(Location(image))
    assert mounted_listing(image, tmp_path / "mount") == wanted
    assert image.stat().st_size < 512 * MIB  # the journal of a large one counts


@needs_root
def test_access_times_and_lost_and_found(tmp_path: Path) -> None:
    tree = hostile_tree(tmp_path / "tree")
    make(tmp_path / "image", tree)
    (tmp_path / "mount").mkdir()
    script = 'mount -o ro,loop,noatime "$1" "$2" && cd "$2" && stat -c "%n %.9X %a %s" time* lost+found'
    shown = run(["unshare", "--mount", "sh", "-c", script, "sh", tmp_path / "image", tmp_path / "mount"]).stdout
    rows = {row.split()[0]: row.split()[1:] for row in shown.splitlines()}
    for index in range(len(TIMES)):
        seconds, rest = divmod(TIMES[-1 - index], 10**9)
        found = rows[f"time{index}"][0]
        # stat writes a negative time with its fraction counted the other way.
        expected = f"{seconds}.{rest:09}" if seconds >= 0 or not rest else f"-{-seconds - 1}.{10**9 - rest:09}"
        assert found == expected
    assert rows["lost+found"][1:] == ["700", "16384"]


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    tree = hostile_tree(tmp_path / "tree", devices=False, sparse=64 * MIB)
    run(["cp", "--archive", tree, tmp_path / "copy"])
    # As entries were made in another order, the host lists them in another order.
    for name in sorted(path.name for path in (tmp_path / "copy").iterdir())[-5:]:
        (tmp_path / "copy" / name).rename(tmp_path / "aside")
        (tmp_path / "aside").rename(tmp_path / "copy" / name)
    shutil.copystat(tree, tmp_path / "copy")
    images = []
    for number, source in enumerate((tree, tmp_path / "copy")):
        # Reading changes them.
        for path in (tree, tmp_path / "copy"):
            run(
                [
                    "find",
                    path,
                    "-depth",
                    "-exec",
                    "touch",
                    "--no-dereference",
                    "--time=atime",
                    "--date=@1700000000",
                    "{}",
                    ";",
                ]
            )
        make(tmp_path / f"image{number}", source)
        images.append((tmp_path / f"image{number}").read_bytes())
    # Not by pytest, which would show the difference.
    assert (images[0] == images[1]) is True


def test_every_file_is_there_without_root(tmp_path: Path) -> None:
    """debugfs reads it, so that this runs for anybody."""
    tree = hostile_tree(tmp_path / "tree", devices=False, sparse=64 * MIB)
    make(tmp_path / "image", tree)
    e2fsprogs.check(Location(tmp_path / "image"))
    e2fsprogs.copy_tree(Location(tmp_path / "image"), "/links", tmp_path / "links")
    assert (tmp_path / "links/c/d/third").read_bytes() == b"h" * 5000


def test_many_files_and_one_large_directory(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(20):
        (tree / f"d{number:03}").mkdir(parents=True)
        for index in range(500):
            (tree / f"d{number:03}/{index:05}").touch()
    (tree / "large").mkdir()
    for index in range(20_000):
        (tree / f"large/a-name-{index:05}").touch()
    make(tmp_path / "image", tree, 512 * MIB)
    e2fsprogs.check(Location(tmp_path / "image"))
    assert len(e2fsprogs.list_directory(Location(tmp_path / "image"), "/large")) == 20_000


def test_a_lost_and_found_of_the_tree_keeps_its_content(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "lost+found").mkdir(parents=True)
    (tree / "lost+found/#12").write_text("rescued")
    make(tmp_path / "image", tree)
    e2fsprogs.check(Location(tmp_path / "image"))
    assert e2fsprogs.read_file(Location(tmp_path / "image"), "/lost+found/#12") == b"rescued"


def test_links_of_the_tree_are_not_followed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "secret").write_text("of the host")
    (tree / "file").symlink_to(tmp_path / "secret")
    (tree / "directory").symlink_to("/etc")
    make(tmp_path / "image", tree)
    assert e2fsprogs.list_directory(Location(tmp_path / "image"), "/") == ["directory", "file", "lost+found"]
    assert b"of the host" not in (tmp_path / "image").read_bytes()


@pytest.mark.parametrize("content", ["blocks", "inodes"])
def test_what_does_not_fit(tmp_path: Path, content: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    if content == "blocks":
        (tree / "large").write_bytes(os.urandom(20 * MIB))
    else:
        for index in range(3000):
            (tree / str(index)).touch()
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - their names are numbers
    with pytest.raises(FullError, match=content):
        make(tmp_path / "image", tree, 16 * MIB)
    assert sorted(os.listdir("/proc/self/fd")) == before, "files that were opened ahead stay open"  # noqa: PTH208


def test_what_ext4_cannot_hold_is_named(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "lost+found").touch()
    with pytest.raises(InputError, match=r"/lost\+found of the image is not a directory"):
        make(tmp_path / "image", tree)


_AS_ANYBODY = """
import json, sys
from pathlib import Path
from twinroot.storage.ext4_tree import fill
fill(Path(sys.argv[1]), Path(sys.argv[2]), frozenset(json.loads(sys.argv[3])))
"""


@needs_root
def test_in_a_user_namespace_it_is_the_same(tmp_path: Path) -> None:
    """What a namespace hides (trusted attributes) or makes impossible (device nodes) is not part of the tree."""
    tree = hostile_tree(tmp_path / "tree", devices=False, sparse=64 * MIB)
    os.chown(tree / "one", 1000, 65535)
    image = tmp_path / "image"
    e2fsprogs.make(image, 256 * MIB, tree=None, features=sorted(AZURE3), uuid=UUID, hash_seed=UUID)
    fill_it = [sys.executable, "-c", _AS_ANYBODY, image, tree, json.dumps(sorted(AZURE3))]
    command = ["unshare", "--user", "sh", "-c", 'read -r go && exec "$@"', "sh", *map(str, fill_it)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=env) as process:
        assert process.stdin is not None
        ours, theirs = Path("/proc/self/ns/user"), Path(f"/proc/{process.pid}/ns/user")
        while theirs.readlink() == ours.readlink():
            assert process.poll() is None
            time.sleep(0.01)
        for kind in ("uid", "gid"):
            Path(f"/proc/{process.pid}/{kind}_map").write_text("0 0 65536\n")
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.wait(60) == 0
    assert mounted_listing(image, tmp_path / "mount") == listing(tree)
