"""Digests of files and directories, remembered between runs and never stale."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twinroot.builder.digests import Digests, listing


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
    first = digests.content(path)
    digests.save()
    memory = json.loads((tmp_path / "memory.json").read_text())
    assert memory[str(path)][1] == first
    # What is remembered is believed as long as the file is the same.
    memory[str(path)][1] = "remembered"
    (tmp_path / "memory.json").write_text(json.dumps(memory))
    again = Digests(tmp_path / "memory.json")
    assert again.content(path) == "remembered"
    old(path, "two")
    assert again.content(path) not in ("remembered", first)


def test_a_file_that_changed_a_moment_ago_is_not_remembered(tmp_path: Path, digests: Digests) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    digests.content(path)
    digests.save()
    assert json.loads((tmp_path / "memory.json").read_text()) == {}


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"a": 5}'])
def test_a_damaged_memory_is_forgotten(tmp_path: Path, damage: str) -> None:
    (tmp_path / "memory.json").write_text(damage)
    found = Digests(tmp_path / "memory.json")
    assert len(found.content(old(tmp_path / "a", "x"))) == 64


def test_a_device_counts_by_what_it_is(digests: Digests) -> None:
    assert digests.content(Path("/dev/zero")) != digests.content(Path("/dev/null"))


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
    "content of the same size and time": lambda tree: same_size_and_time(tree / "sub/file"),
    "name": lambda tree: (tree / "sub/file").rename(tree / "sub/other"),
    "mode": lambda tree: (tree / "sub/file").chmod(0o600),
    "link": lambda tree: relink(tree / "link"),
    "mode of a directory": lambda tree: (tree / "sub").chmod(0o700),
    "mode of the top": lambda tree: tree.chmod(0o700),
    "new": lambda tree: (tree / "empty").mkdir(),
    "pipe": lambda tree: os.mkfifo(tree / "pipe"),
    "loop": lambda tree: (tree / "loop").symlink_to("."),
    "gone": lambda tree: (tree / "link").unlink(),
}


def same_size_and_time(path: Path) -> None:
    status = path.stat()
    path.write_text("x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_directory_shows(directory: Path, digests: Digests, change: str) -> None:
    before = digests.copied(directory, times=False), listing(directory)
    assert (digests.copied(directory, times=False), listing(directory)) == before
    CHANGES[change](directory)
    after = digests.copied(directory, times=False), listing(directory)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_mode_of_a_single_file_counts(tmp_path: Path, digests: Digests) -> None:
    path = old(tmp_path / "a", "x")
    before = digests.copied(path, times=False)
    path.chmod(0o755)
    assert digests.copied(path, times=False) != before


@pytest.mark.parametrize(
    ("epoch", "times", "counts"), [(None, True, True), (None, False, False), ("100", True, False), ("7", True, True)]
)
def test_times_count_as_far_as_an_image_tells_them(
    directory: Path, digests: Digests, monkeypatch: pytest.MonkeyPatch, epoch: str | None, times: bool, counts: bool
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if epoch:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    before = digests.copied(directory, times=times), listing(directory)
    os.utime(directory / "sub/file", (5, 5) if counts else (200, 200))
    assert (digests.copied(directory, times=times) != before[0]) is counts
    assert listing(directory) != before[1]


def test_links_to_files_count_by_content_where_only_content_does(directory: Path, digests: Digests) -> None:
    old(directory.parent / "elsewhere", "one")
    (directory / "out").symlink_to("../elsewhere")
    (directory / "dangling").symlink_to("nowhere")
    before = digests.contents(directory)
    old(directory.parent / "elsewhere", "two")
    assert digests.contents(directory) != before


def test_a_pattern_leaves_others_out(directory: Path, digests: Digests) -> None:
    before = digests.contents(directory, "*.py")
    old(directory / "a.txt", "x")
    assert digests.contents(directory, "*.py") == before
    old(directory / "a.py", "x")
    assert digests.contents(directory, "*.py") != before


def test_a_memory_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    digests = Digests(tmp_path / "missing" / "memory.json")
    digests.content(old(tmp_path / "a", "x"))
    digests.save()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
