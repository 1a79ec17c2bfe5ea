"""Digests of files and directories, remembered between runs and never stale."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twinroot.builder.digests import Digests


@pytest.fixture
def digests(tmp_path: Path) -> Digests:
    return Digests(tmp_path / "memory.json")


def old(path: Path, text: str) -> Path:
    """A file that has not changed for a while."""
    path.write_text(text)
    os.utime(path, (time.time() - 100, time.time() - 100))
    return path


def test_a_file_is_read_once_and_again_when_it_changed(tmp_path: Path, digests: Digests) -> None:
    path = old(tmp_path / "a", "one")
    first = digests.file(path)
    digests.save()
    memory = json.loads((tmp_path / "memory.json").read_text())
    assert memory[str(path)][1] == first
    # What is remembered is believed as long as the file is the same.
    memory[str(path)][1] = "remembered"
    (tmp_path / "memory.json").write_text(json.dumps(memory))
    again = Digests(tmp_path / "memory.json")
    assert again.file(path) == "remembered"
    old(path, "two")
    assert again.file(path) not in ("remembered", first)


def test_a_file_that_changed_a_moment_ago_is_not_remembered(tmp_path: Path, digests: Digests) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    digests.file(path)
    digests.save()
    assert json.loads((tmp_path / "memory.json").read_text()) == {}


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"a": 5}'])
def test_a_damaged_memory_is_forgotten(tmp_path: Path, damage: str) -> None:
    (tmp_path / "memory.json").write_text(damage)
    found = Digests(tmp_path / "memory.json")
    assert len(found.file(old(tmp_path / "a", "x"))) == 64


def test_a_device_counts_by_what_it_is(digests: Digests) -> None:
    assert digests.file(Path("/dev/zero")) != digests.file(Path("/dev/null"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "sub").mkdir(parents=True)
    old(made / "sub/file", "text")
    (made / "link").symlink_to("sub/file")
    return made


def relink(link: Path) -> None:
    link.unlink()
    link.symlink_to("sub")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda tree: old(tree / "sub/file", "TEXT"),
    "name": lambda tree: (tree / "sub/file").rename(tree / "sub/other"),
    "mode": lambda tree: (tree / "sub/file").chmod(0o600),
    "link": lambda tree: relink(tree / "link"),
    "new": lambda tree: (tree / "empty").mkdir(),
    "gone": lambda tree: (tree / "link").unlink(),
}


@pytest.mark.parametrize("contents", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_directory_shows(directory: Path, digests: Digests, change: str, contents: bool) -> None:
    before = digests.tree(directory, contents=contents)
    assert digests.tree(directory, contents=contents) == before
    CHANGES[change](directory)
    assert digests.tree(directory, contents=contents) != before


def test_times_count_only_where_content_is_not_read(directory: Path, digests: Digests) -> None:
    with_contents, without = digests.tree(directory, contents=True), digests.tree(directory, contents=False)
    os.utime(directory / "sub/file", (5, 5))
    assert digests.tree(directory, contents=True) == with_contents
    assert digests.tree(directory, contents=False) != without


def test_a_pattern_leaves_others_out(directory: Path, digests: Digests) -> None:
    before = digests.tree(directory, contents=True, pattern="*.py")
    old(directory / "a.txt", "x")
    assert digests.tree(directory, contents=True, pattern="*.py") == before
    old(directory / "a.py", "x")
    assert digests.tree(directory, contents=True, pattern="*.py") != before
