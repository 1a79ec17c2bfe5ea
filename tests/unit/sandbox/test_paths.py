"""Paths of an image never lead out of its tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinroot.errors import InputError
from twinroot.sandbox.paths import read_file, resolve_inside


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
