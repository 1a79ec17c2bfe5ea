"""Paths of an image never lead out of its tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinroot.errors import InputError
from twinroot.sandbox.paths import resolve_inside


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
