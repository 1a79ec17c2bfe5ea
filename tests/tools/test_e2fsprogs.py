"""ext4 filesystems made from a tree hold exactly that tree; reading them without mounting copes with any name."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from twinroot.distro.distro import recognise
from twinroot.errors import CommandError
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location
from twinroot.tools.run import run
from twinroot.units import MIB

FEATURES = recognise({"ID": "azurelinux", "VERSION_ID": "3.0"}).ext4
UUID = "11111111-2222-4333-8444-555555555555"
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep, vfs_cap_data version 2

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for owners, device nodes and mounts")


def make(path: Path, tree: Path | None, size: int = 32 * MIB) -> Location:
    e2fsprogs.make(path, size, tree=tree, features=FEATURES, uuid=UUID, label="a label", hash_seed=UUID)
    return Location(path)


def rich_tree(tree: Path) -> Path:
    """Everything that a root filesystem may hold."""
    tree.mkdir()
    (tree / "plain").write_bytes(b"x")
    os.chown(tree / "plain", 1000, 100000)
    (tree / "plain").chmod(0o4755)
    os.utime(tree / "plain", (1_000_000_000, 1_100_000_000))
    (tree / "linked").write_bytes(b"h" * 9000)
    (tree / "directory").mkdir()
    os.link(tree / "linked", tree / "directory/linked too")
    for length in (1, 59, 60, 61, 200, 4000):
        (tree / f"link{length}").symlink_to("x" * length)
    os.chown(tree / "link60", 5, 6, follow_symlinks=False)
    os.mknod(tree / "null", 0o20666, os.makedev(1, 3))
    os.mknod(tree / "block", 0o60660, os.makedev(259, 70000))
    os.mkfifo(tree / "fifo")
    with (tree / "sparse").open("wb") as file:
        file.seek(20 * MIB)
        file.write(b"data")
        file.truncate(60 * MIB)
    (tree / "capable").write_bytes(b"")
    os.setxattr(tree / "capable", "security.capability", CAPABILITY)
    os.setxattr(tree / "capable", "user.note", b"\x00\xff")
    (tree / "sticky").mkdir()
    (tree / "sticky").chmod(0o1777)
    (tree / "group").mkdir()
    os.chown(tree / "group", 7, 8)
    (tree / "group").chmod(0o2750)
    os.setxattr(tree / "group", "user.note", b"d")
    (tree / 'new\nline "quoted" and $odd').write_bytes(b"n")
    Path(os.fsdecode(os.fsencode(tree) + b"/\xff\xfe")).write_bytes(b"not UTF-8")
    (tree / "many").mkdir()
    for index in range(1000):
        (tree / f"many/a-file-with-a-rather-long-name-{index:05}").touch()
    os.utime(tree / "many", (11, 12))
    os.setxattr(tree, "user.note", b"root")
    os.chown(tree, 33, 70000)
    tree.chmod(0o1751)
    os.utime(tree, (1_000_000_000, 1_200_000_000))
    return tree


_LISTING = """
import os, stat, sys, hashlib
root = os.fsencode(sys.argv[1])
inodes = {}
def show(path, name):
    s = os.lstat(path)
    mode = stat.S_IFMT(s.st_mode)
    size = None if mode == stat.S_IFDIR else s.st_size
    links = None if mode == stat.S_IFDIR else s.st_nlink
    content = os.readlink(path) if mode == stat.S_IFLNK else b""
    if mode == stat.S_IFREG:
        content = hashlib.sha256(open(path, "rb").read()).digest()
    x = {k: os.getxattr(path, k, follow_symlinks=False) for k in os.listxattr(path, follow_symlinks=False)}
    same = inodes.setdefault(s.st_ino, name)
    print(name, oct(s.st_mode), s.st_uid, s.st_gid, int(s.st_mtime), size, links, s.st_rdev, content, x, same)
show(root, b".")
for directory, names, files in os.walk(root):
    names.sort()
    for entry in sorted(names + files):
        path = os.path.join(directory, entry)
        if path != os.path.join(root, b"lost+found"):
            show(path, os.path.relpath(path, root))
if len(sys.argv) > 2:
    print(os.stat(os.path.join(root, b"sparse")).st_blocks * 512, file=sys.stderr)
    print(os.stat(os.path.join(root, b"lost+found")), file=sys.stderr)
"""


def listing(tree: Path) -> list[str]:
    return run([sys.executable, "-c", _LISTING, tree]).stdout.splitlines()


def mounted_listing(image: Path, mount_point: Path) -> tuple[list[str], str]:
    """The listing of a filesystem as the kernel sees it, mounted in a namespace of a child process."""
    mount_point.mkdir()
    script = 'mount -o ro,loop "$1" "$2" && exec "$3" -c "$4" "$2" more'
    result = run(["unshare", "--mount", "sh", "-c", script, "sh", image, mount_point, sys.executable, _LISTING])
    return result.stdout.splitlines(), result.stderr


@needs_root
def test_a_filesystem_holds_exactly_the_tree(tmp_path: Path) -> None:
    tree = rich_tree(tmp_path / "tree")
    wanted = listing(tree)
    at = make(tmp_path / "image", tree)
    e2fsprogs.check(at)
    found, more = mounted_listing(tmp_path / "image", tmp_path / "mount")
    assert found == wanted
    sparse, lost = more.splitlines()
    assert int(sparse) < MIB
    assert "st_mode=16832" in lost and "st_uid=0" in lost and "st_size=16384" in lost  # as mke2fs makes it: 0700, 16K


@needs_root
def test_a_lost_and_found_of_the_tree_keeps_its_content(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "lost+found").mkdir(parents=True)
    (tree / "lost+found/#12").write_text("rescued")
    at = make(tmp_path / "image", tree)
    e2fsprogs.check(at)
    assert e2fsprogs.read_file(at, "/lost+found/#12") == b"rescued"


@needs_root
def test_a_socket_in_the_tree_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    monkeypatch.chdir(tmp_path / "tree")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    at = make(tmp_path / "image", tmp_path / "tree")
    e2fsprogs.check(at)
    assert "socket" in e2fsprogs.list_directory(at, "/")


def test_uuid_label_features_and_geometry(tmp_path: Path) -> None:
    at = make(tmp_path / "image", None)
    text = run(["dumpe2fs", "-h", tmp_path / "image"]).stdout
    assert re.search(rf"^Filesystem UUID: +{UUID}$", text, re.MULTILINE)
    assert re.search(r"^Filesystem volume name: +a label$", text, re.MULTILINE)
    assert re.search(rf"^Directory Hash Seed: +{UUID}$", text, re.MULTILINE)
    assert re.search(r"^Inode size:\s+256$", text, re.MULTILINE)
    found = e2fsprogs.superblock(at)
    assert found.size == 32 * MIB and found.block_size == 4096
    assert set(found.features) == set(FEATURES)


def test_too_small_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/big").write_bytes(os.urandom(5 * MIB))
    with pytest.raises(CommandError, match="Could not allocate"):
        make(tmp_path / "image", tmp_path / "tree", 4 * MIB)


@pytest.mark.parametrize(
    "path",
    ["/plain", "/a b/c", '/say "hi"/x', "/tab\there", "/ünï/cödé", "/<2>", "/-x", "/single'quote", "/back\\slash"],
)
def test_files_of_any_name_are_read(tmp_path: Path, path: str) -> None:
    file = tmp_path / "tree" / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x00content\xff")
    at = make(tmp_path / "image", tmp_path / "tree")
    assert e2fsprogs.read_file(at, path) == b"\x00content\xff"
    directory, _, name = path.rpartition("/")
    assert name in e2fsprogs.list_directory(at, directory or "/")


def test_reading_follows_links_as_the_image_would(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr/lib").mkdir(parents=True)
    (tree / "usr/lib/os-release").write_text("ID=x")
    (tree / "lib").symlink_to("usr/lib")
    (tree / "absolute").symlink_to("/usr/lib/os-release")
    (tree / "up").symlink_to("../../../usr/lib/os-release")
    (tree / "long").symlink_to("./" * 40 + "usr/lib/os-release")
    (tree / "loop").symlink_to("loop")
    (tree / "dangling").symlink_to("nothing here")
    at = make(tmp_path / "image", tree)
    for path in ("/lib/os-release", "/absolute", "/up", "/long", "/usr/../lib/./os-release"):
        assert e2fsprogs.read_file(at, path) == b"ID=x", path
    for path in ("/loop", "/dangling", "/nothing", "/usr/lib/os-release/below"):
        assert e2fsprogs.read_file(at, path) is None, path
    assert e2fsprogs.list_directory(at, "/lib") == ["os-release"]
    assert e2fsprogs.list_directory(at, "/nothing") == []


def test_reading_at_an_offset_of_a_disk(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("here")
    make(tmp_path / "image", tmp_path / "tree", 16 * MIB)
    with (tmp_path / "disk").open("wb") as disk:
        disk.seek(3 * MIB)
        disk.write((tmp_path / "image").read_bytes())
    at = Location(tmp_path / "disk", 3 * MIB)
    assert e2fsprogs.read_file(at, "/file") == b"here"
    assert e2fsprogs.superblock(at).size == 16 * MIB
    e2fsprogs.check(at)
    e2fsprogs.copy_used(at, tmp_path / "copy")
    assert e2fsprogs.read_file(Location(tmp_path / "copy"), "/file") == b"here"


def test_scratch_files_may_have_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("here")
    at = make(tmp_path / "image", tmp_path / "tree")
    scratch = tmp_path / 'a "b" c'
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert e2fsprogs.read_file(at, "/file") == b"here"


@pytest.mark.parametrize(("path", "expected"), [("/", ["lost+found", "var"]), ("/var/lib", ["dnf", "lib"])])
def test_copy_tree_copies_the_content_of_a_directory(tmp_path: Path, path: str, expected: list[str]) -> None:
    (tmp_path / "tree/var/lib/lib").mkdir(parents=True)
    (tmp_path / "tree/var/lib/dnf").write_text("x")
    at = make(tmp_path / "image", tmp_path / "tree")
    target = tmp_path / "a target"
    assert e2fsprogs.copy_tree(at, path, target)
    assert sorted(entry.name for entry in target.iterdir()) == expected
    assert not e2fsprogs.copy_tree(at, "/nothing", tmp_path / "other")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a target", "image", "tree"]


def test_shrink_and_grow_keep_the_content(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_bytes(b"x" * 3 * MIB)
    at = make(tmp_path / "image", tmp_path / "tree", 64 * MIB)
    small = e2fsprogs.shrink(tmp_path / "image")
    assert 3 * MIB < small < 64 * MIB
    assert (tmp_path / "image").stat().st_size == small == e2fsprogs.superblock(at).size
    e2fsprogs.check(at)
    os.truncate(tmp_path / "image", 48 * MIB)
    e2fsprogs.grow(at, 48 * MIB)
    assert e2fsprogs.superblock(at).size == 48 * MIB
    assert e2fsprogs.read_file(at, "/file") == b"x" * 3 * MIB


def test_check_finds_damage(tmp_path: Path) -> None:
    at = make(tmp_path / "image", None)
    with (tmp_path / "image").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(CommandError):
        e2fsprogs.check(at)
