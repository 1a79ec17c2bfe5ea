"""Copying files and trees of the host into a tree, whatever is there already."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.planned import CONFIG, planned_disk

from twinroot.customize.copying import Modes, Owner, copy_file, copy_tree
from twinroot.errors import InputError
from twinroot.units import MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

with tempfile.TemporaryDirectory() as _directory:
    DISK = planned_disk(Path(_directory), CONFIG.replace("512M", "64M"))
TIME = 1_600_000_000_123_456_789
MODES = Modes(file=0o755, new_directory=0o755)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 10)
    os.chown(path, 33, 44)  # which takes away the setuid bit
    path.chmod(0o4640)
    os.utime(path, ns=(TIME, TIME))
    return path


def test_a_file_with_what_it_keeps(root: Path, source: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = os.umask(0o077)
    try:
        copy_file(source, root, "/a/b/c", DISK)
    finally:
        os.umask(before)
    status = (root / "a/b/c").stat()
    assert (root / "a/b/c").read_bytes() == source.read_bytes()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns) == (0o4640, 0, 0, TIME)
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o755
    (warning,) = caplog.messages
    assert "has its setuid bit set" in warning and "/a/b/c runs with the rights of user 0" in warning


def test_rights_of_an_owner_who_stays_are_nothing_to_tell(
    root: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy_file(source, root, "/c", DISK, owner=Owner(33, 44))
    assert stat.S_IMODE((root / "c").stat().st_mode) == 0o4640 and caplog.messages == []


@pytest.mark.parametrize(
    ("bits", "owner", "rights"),
    [
        (0o6755, Owner(33, 44), []),
        (0o6755, Owner(33, 0), ["group 0"]),
        (0o6755, Owner(0, 44), ["user 0"]),
        (0o6755, Owner(5, 6), ["user 5", "group 6"]),
        (0o4755, Owner(33, 6), []),
        (0o2755, Owner(5, 44), []),
        (0o2755, Owner(33, 6), ["group 6"]),
        (0o1755, Owner(5, 6), []),
    ],
)
def test_each_bit_tells_of_whom_it_is_about(
    bits: int, owner: Owner, rights: list[str], root: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source.chmod(bits)
    copy_file(source, root, "/c", DISK, owner=owner)
    assert stat.S_IMODE((root / "c").stat().st_mode) == bits
    assert [message.partition("with the rights of ")[2] for message in caplog.messages] == rights


_IN_A_NAMESPACE = """
import os, sys
from pathlib import Path
from tests.tools.test_copying import DISK
from twinroot.customize.copying import Owner, copy_file
read, write = os.pipe()
parent, child = os.getpid(), os.fork()
if child == 0:
    os.close(write)
    assert os.read(read, 1), "no namespace was made"
    for kind in ("uid", "gid"):
        Path(f"/proc/{parent}/{kind}_map").write_text("0 1234 1\\n1 100000 65535\\n")
    os._exit(0)
import ctypes
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(write, b"x")
assert os.waitpid(child, 0)[1] == 0
os.setresgid(0, 0, 0)
os.setresuid(0, 0, 0)
copy_file(Path(sys.argv[1]), Path(sys.argv[2]), "/c", DISK)
"""


@pytest.mark.parametrize("owner", [1234, 0])
def test_without_root_the_caller_is_not_taken_for_root(owner: int, tmp_path: Path) -> None:
    """It shows as 0 in its user namespace, and the real one as nobody."""
    with tempfile.TemporaryDirectory() as place:  # which others may enter
        Path(place).chmod(0o755)
        (root := Path(place, "root")).mkdir()
        (source := Path(place, "source")).touch()
        os.chown(root, 1234, 1234)
        os.chown(source, owner, owner)
        source.chmod(0o6755)
        argv = [sys.executable, "-c", _IN_A_NAMESPACE, str(source), str(root)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the rights of user 0" in done.stderr and "the rights of group 0" in done.stderr


def test_a_tree_keeps_no_rights_of_owners(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As that of /etc/skel, which is handed to a user."""
    (tmp_path / "skel").mkdir()
    for name, mode in (("plain", 0o640), ("special", 0o6755)):
        (tmp_path / "skel" / name).touch()
        (tmp_path / "skel" / name).chmod(mode)
    copy_tree(tmp_path / "skel", root, "/home/a", DISK, Modes(file=None, new_directory=None), owner=Owner(5, 6))
    assert [stat.S_IMODE((root / "home/a" / name).stat().st_mode) for name in ("plain", "special")] == [0o640, 0o755]
    assert caplog.messages == []


@pytest.mark.parametrize("mode", [0, 0o600, 0o777])
def test_permissions(mode: int, root: Path, source: Path) -> None:
    copy_file(source, root, "/c", DISK, mode=mode, owner=Owner(5, 6))
    status = (root / "c").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, 5, 6)


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "pipe", "socket"])
def test_what_is_there_gives_way(kind: str, root: Path, source: Path, tmp_path: Path) -> None:
    place, victim = root / "c", tmp_path / "victim"
    victim.write_text("victim")
    if kind == "file":
        os.link(victim, place)
    elif kind in ("link", "dangling"):
        place.symlink_to(victim if kind == "link" else tmp_path / "none")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(place))
    copy_file(source, root, "/c", DISK)
    assert place.read_bytes() == source.read_bytes() and not place.is_symlink()
    assert victim.read_text() == "victim" and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("path", "says"),
    [("/d", "is a directory"), ("/l", "a link to a directory"), ("/f/x", "is not a directory"), ("/x/", "names a"),
     ("/loop/x", "a loop of symbolic links"), ("/d/..", "names a directory")],
)  # fmt: skip
def test_places_that_cannot_be_written(path: str, says: str, root: Path, source: Path) -> None:
    (root / "d").mkdir()
    (root / "f").touch()
    (root / "l").symlink_to("/d")
    (root / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=says):
        copy_file(source, root, path, DISK)


def test_links_on_the_way_stay_inside(root: Path, source: Path, tmp_path: Path) -> None:
    (root / "etc").symlink_to(tmp_path)
    (root / "up").symlink_to("../../..")
    copy_file(source, root, "/etc/a", DISK)
    copy_file(source, root, "/up/b", DISK)
    assert (root / str(tmp_path)[1:] / "a").exists() and (root / "b").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "source"]


def test_a_source_that_breaks_off_is_named(root: Path) -> None:
    with pytest.raises(InputError, match=r"/proc/self/mem cannot be copied: Input/output error"):
        copy_file(Path("/proc/self/mem"), root, "/c", DISK)


def test_holes_stay_holes(root: Path, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3 * DISK.holding("/").size)
        for offset in (5 * MIB, 7 * MIB + 1):
            file.seek(offset)
            file.write(b"data")
    copy_file(tmp_path / "sparse", root, "/sparse", DISK)
    status = (root / "sparse").stat()
    assert status.st_size == 3 * DISK.holding("/").size and status.st_blocks * 512 <= MIB
    with (root / "sparse").open("rb") as file:
        for offset in (5 * MIB, 7 * MIB + 1):
            file.seek(offset)
            assert file.read(5) == b"data\0"


def test_files_that_tell_no_size(root: Path) -> None:
    copy_file(Path("/proc/version"), root, "/version", DISK)
    copy_file(Path("/dev/null"), root, "/null", DISK)
    assert (root / "version").read_text() == Path("/proc/version").read_text()
    assert (root / "null").read_bytes() == b""


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/urandom", "large"])
def test_no_copy_is_larger_than_its_filesystem(name: str, root: Path, tmp_path: Path) -> None:
    size = DISK.holding("/").size
    (tmp_path / "large").write_bytes(b"x" * (size + 1))
    with pytest.raises(InputError, match="does not fit: the filesystem that would hold /x has") as caught:
        copy_file(tmp_path / name, root, "/x", DISK)
    assert DISK.holding("/").size_field in str(caught.value)
    assert (root / "x").stat().st_size <= size


@pytest.mark.parametrize("kind", ["pipe", "directory", "missing"])
def test_sources_that_are_no_files(kind: str, root: Path, tmp_path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "s")
    elif kind == "directory":
        (tmp_path / "s").mkdir()
    with pytest.raises(InputError, match="is not a file" if kind != "missing" else "cannot be read"):
        copy_file(tmp_path / "s", root, "/x", DISK)
    assert not (root / "x").exists()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "sub/deep").mkdir(parents=True)
    (top / "sub/file").write_text("new")
    (top / "sub/deep/odd\udcff\n").write_text("odd")
    (top / "sub/link").symlink_to("/etc/passwd")
    (top / "loop").symlink_to(".")
    (top / "empty").mkdir()
    for path in (*top.rglob("*"), top):
        os.utime(path, ns=(TIME, TIME), follow_symlinks=False)
    return top


def test_a_tree(root: Path, tree: Path) -> None:
    copy_tree(tree, root, "/a/b/", DISK, Modes(file=0o640, new_directory=0o710, parents=0o710))
    top = root / "a/b"
    assert sorted(str(path.relative_to(top)) for path in top.rglob("*")) == sorted(
        str(path.relative_to(tree)) for path in tree.rglob("*")
    )
    for path in (*top.rglob("*"), top):
        status = path.lstat()
        wanted = {stat.S_IFDIR: 0o710, stat.S_IFREG: 0o640, stat.S_IFLNK: 0o777}[stat.S_IFMT(status.st_mode)]
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime_ns) == (wanted, 0, TIME), path
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o710
    assert str((top / "sub/link").readlink()) == "/etc/passwd"


@pytest.mark.parametrize(("merged", "mode"), [(None, 0o2775), (0o700, 0o700)])
def test_merging_through_links(merged: int | None, mode: int, root: Path, tree: Path, tmp_path: Path) -> None:
    (root / "real/deep").mkdir(parents=True)
    (root / "real/deep/kept").write_text("kept")
    (root / "real/deep").chmod(0o2775)
    (root / "real/file").symlink_to(tmp_path / "victim")
    (root / "opt").mkdir()
    (root / "opt/sub").symlink_to("/real")
    copy_tree(tree, root, "/opt", DISK, Modes(file=0o644, new_directory=0o755, merged=merged))
    assert (root / "opt/sub").is_symlink() and (root / "real/file").read_text() == "new"
    assert (root / "real/deep/kept").read_text() == "kept"
    assert stat.S_IMODE((root / "real/deep").stat().st_mode) == mode
    assert stat.S_IMODE((root / "opt/empty").stat().st_mode) == 0o755
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda root, tree: (root / "a/sub/file").mkdir(parents=True), "/a/sub/file of the image is a directory"),
        (lambda root, tree: (root / "a/loop").mkdir(parents=True), "/a/loop of the image is a directory"),
        (lambda root, tree: ((root / "a").mkdir(), (root / "a/empty").touch()), "/a/empty of the image is not a dir"),
        (lambda root, tree: os.mkfifo(tree / "pipe"), "pipe is neither a file, a directory nor a symbolic link"),
    ],
)
def test_trees_that_do_not_fit(edit, says: str, root: Path, tree: Path) -> None:  # type: ignore[no-untyped-def]
    edit(root, tree)
    with pytest.raises(InputError, match=says):
        copy_tree(tree, root, "/a", DISK, MODES)


def test_a_directory_that_holds_the_tree(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds the build directory"):
        copy_tree(tmp_path, root, "/a", DISK, MODES)
    assert list(root.iterdir()) == []
