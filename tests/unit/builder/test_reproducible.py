"""Settling a tree: times, bytecode, and files that are for one machine only. On directories as overlays leave them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinroot.base.tree import Layer, Tree
from twinroot.builder.reproducible import settle_contents, settle_times, settled_time

EPOCH = 1_700_000_000
S = 10**9


@pytest.mark.parametrize(
    ("time", "base", "expected"),
    [
        (5 * S + 7, None, 5 * S + 7),
        ((EPOCH + 9) * S, None, EPOCH * S),
        ((EPOCH + 9) * S, (EPOCH + 9) * S, (EPOCH + 9) * S),
        ((EPOCH + 9) * S, (EPOCH + 8) * S, EPOCH * S),
        (EPOCH * S + 1, None, EPOCH * S),
    ],
)
def test_settled_time(time: int, base: int | None, expected: int) -> None:
    assert settled_time(time, base, EPOCH) == expected


def put(path: Path, text: bytes, time: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    os.utime(path, (time, time))
    return path


def test_times_of_changes_only(tmp_path: Path) -> None:
    base, changes = tmp_path / "base", tmp_path / "changes"
    put(base / "kept", b"", EPOCH + 100)
    kept = put(changes / "kept", b"", EPOCH + 100)
    new = put(changes / "d/new", b"", EPOCH + 200)
    old = put(changes / "d/old", b"", 1000)
    (changes / "d/link").symlink_to("/etc/passwd")
    (changes / "d/to-directory").symlink_to("/usr")
    before = Path("/etc/passwd").stat().st_mtime_ns, Path("/usr").stat().st_mtime_ns
    settle_times(changes, Layer(changes, base), EPOCH)
    found = {path: path.lstat().st_mtime_ns // S for path in (kept, new, old, changes, *changes.rglob("*"))}
    assert found.pop(kept) == EPOCH + 100
    assert found.pop(old) == 1000
    assert set(found.values()) == {EPOCH}
    assert (Path("/etc/passwd").stat().st_mtime_ns, Path("/usr").stat().st_mtime_ns) == before
    assert all(path.lstat().st_atime_ns == path.lstat().st_mtime_ns for path in (kept, new, old))


def test_marks_of_removed_files_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "changes/gone", b"", 5)
    put(tmp_path / "view/stays", b"", EPOCH + 5)
    settle_times(tmp_path / "view", Layer(tmp_path / "changes", None), EPOCH)
    assert [path.name for path in (tmp_path / "view").iterdir()] == ["stays"]


@pytest.mark.parametrize(
    ("flags", "time", "changed"),
    [(0, EPOCH + 200, True), (0, EPOCH + 201, False), (1, EPOCH + 200, False), (3, EPOCH + 200, False)],
)
def test_bytecode_follows_its_module(flags: int, time: int, changed: bool, tmp_path: Path) -> None:
    put(tmp_path / "[m].py", b"x = 1\n", EPOCH + 200)
    head = b"\xa7\r\r\n" + flags.to_bytes(4, "little") + time.to_bytes(4, "little") + b"rest"
    bytecode = put(tmp_path / "__pycache__/[m].cpython-311.pyc", head, 77)
    settle_times(tmp_path, Layer(tmp_path, None), EPOCH)
    expected = head[:8] + EPOCH.to_bytes(4, "little") + b"rest" if changed else head
    assert bytecode.read_bytes() == expected
    assert bytecode.stat().st_mtime == 77


def test_contents_of_one_machine_or_run_go(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("etc/machine-id", "var/log/dpkg.log", "var/log/kept.log", "var/log/a/b",
                 "var/cache/ldconfig/aux-cache", "var/lib/systemd/random-seed", "etc/hostname"):  # fmt: skip
        put(root / name, b"x", 5)
        if "kept" not in name:
            put(tmp_path / "changes" / name, b"x", 5)
    (root / "var/log/link").symlink_to("/etc/hostname")
    (tmp_path / "changes/var/log/link").symlink_to("/etc/hostname")
    before = Path("/etc/hostname").read_bytes()
    settle_contents(Tree(root, tmp_path, {"/": Layer(tmp_path / "changes", root)}), EPOCH)
    left = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    left.pop("var/log/link", None)
    assert left == {
        "etc/machine-id": b"", "var/log/dpkg.log": b"", "var/log/kept.log": b"x", "var/log/a/b": b"",
        "etc/hostname": b"x",
    }  # fmt: skip
    assert Path("/etc/hostname").read_bytes() == before


def test_links_in_place_of_files_stay_inside(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", b"mine", 5)
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "etc/machine-id").symlink_to(outside)
    (root / "var/log").symlink_to(tmp_path)
    settle_contents(Tree(root, tmp_path, {"/": Layer(root, None)}), EPOCH)
    assert outside.read_bytes() == b"mine"


def test_changes_are_looked_for_in_their_filesystem(tmp_path: Path) -> None:
    put(tmp_path / "boot/x", b"", 5)
    put(tmp_path / "all/boot/y", b"", 5)
    layers = {"/": Layer(tmp_path / "all", None), "/boot": Layer(tmp_path / "boot", None)}
    tree = Tree(tmp_path / "root", tmp_path, layers)
    changed = [name for name in ("boot/x", "boot/y", "boots", "x") if tree.is_changed(tmp_path / "root" / name)]
    assert changed == ["boot/x"]
