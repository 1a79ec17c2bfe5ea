"""Paths of an image never lead out of its tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinroot.errors import InputError
from twinroot.sandbox.paths import make_directory, read_file, read_text, remove_inside, resolve_inside


@pytest.mark.parametrize(
    ("links", "path", "expected"),
    [
        ({}, "/a/b", "a/b"),
        ({}, "", ""),
        ({}, "/", ""),
        ({}, "//a/./b/", "a/b"),
        ({}, "/../../etc/passwd", "etc/passwd"),
        ({}, "/a/../../../b", "b"),
        ({"etc": "/usr/etc"}, "/etc/fstab", "usr/etc/fstab"),
        ({"etc": "/etc2", "etc2": "x"}, "/etc/fstab", "x/fstab"),
        ({"up": "../../../../etc"}, "/up/shadow", "etc/shadow"),
        ({"usr/deep/up": "../../.."}, "/usr/deep/up/etc", "etc"),
        ({"host": "/proc/1/root"}, "/host/etc", "proc/1/root/etc"),
        ({"dot": "."}, "/dot/a", "a"),
        ({"last": "/target"}, "/last", "target"),
        ({"odd": b"/\xff\n"}, "/odd/x", b"\xff\n/x"),
    ],
)
def test_resolve_inside(tmp_path: Path, links: dict[str, str | bytes], path: str, expected: str | bytes) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(os.fsdecode(target))
    assert resolve_inside(root, path) == root / os.fsdecode(expected)


def test_loops(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("/a")
    with pytest.raises(InputError, match="/a/x of the image is a loop"):
        resolve_inside(tmp_path, "/a/x")


def test_read_text(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").write_bytes(b"x\xff\r\n")
    (tmp_path / "etc/link").symlink_to("/etc/a")
    (tmp_path / "etc/away").symlink_to("/../../../../../../etc/hostname")
    assert read_text(tmp_path, "/etc/a") == read_text(tmp_path, "/etc/link") == "x\udcff\r\n"
    assert read_text(tmp_path, "/etc/away") is None
    assert read_text(tmp_path, "/etc/a/b") is None


@pytest.mark.parametrize("kind", ["pipe", "directory"])
def test_only_plain_files_are_read(tmp_path: Path, kind: str) -> None:
    (os.mkfifo if kind == "pipe" else os.mkdir)(tmp_path / "odd")
    with pytest.raises(InputError, match="/odd of the image is no plain file"):
        read_text(tmp_path, "/odd")


def test_a_file_that_fills_the_memory_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="is larger than 32 MiB"):
        read_text(tmp_path, "/big")


def test_make_directory(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    (root / "var").symlink_to("/../../data")
    made = make_directory(root, "/var/lib/upper")
    assert made == root / "data/lib/upper" and made.is_dir()
    assert [(root / name).stat().st_mode & 0o777 for name in ("data", "data/lib", ".")] == [0o755, 0o755, 0o700]
    made.chmod(0o700)
    assert make_directory(root, "/var/lib/upper").stat().st_mode & 0o777 == 0o700
    (root / "file").touch()
    for path in ("/file", "/file/below"):
        with pytest.raises(InputError, match="/file of the image is not a directory"):
            make_directory(root, path)


def test_remove_inside(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for directory in (root / "var/lib/rpm/deep", root / "kept", outside):
        directory.mkdir(parents=True)
        (directory / "file").touch()
    (root / "var/lib/rpm/out").symlink_to(outside)
    (root / "var/lib/link").symlink_to("/kept")
    assert remove_inside(root, "/var/lib/rpm/")
    assert remove_inside(root, "/var/lib/link")
    assert not remove_inside(root, "/var/lib/none")
    assert list((root / "var/lib").iterdir()) == []
    assert (outside / "file").exists() and (root / "kept/file").exists()


@pytest.mark.parametrize("kind", ["file", "link", "link out", "pipe", "directory", "missing", "below a file"])
def test_reading_opens_plain_files_of_the_image_only(kind: str, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.write_text("outside")
    (root / "target").write_text("inside")
    path = root / "a"
    if kind == "file":
        path.write_text("inside")
    elif kind.startswith("link"):
        path.symlink_to("/target" if kind == "link" else outside)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    found = read_file(root, "/target/a" if kind == "below a file" else "/a")
    assert found == (b"inside" if kind in ("file", "link") else None)


def test_reading_has_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path, "a", limit=5) == b"12345"
    with pytest.raises(InputError, match="/a of the image is larger than 4 bytes"):
        read_file(tmp_path, "/a", limit=4)
