"""Output files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from twinroot.errors import InputError
from twinroot.output.files import check_output, replacing


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_complete_file_takes_the_place(tmp_path: Path) -> None:
    target = tmp_path / "an image.raw"
    target.write_text("old")
    with replacing(target) as partial:
        assert partial.parent == tmp_path
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new" and names(tmp_path) == [target.name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_of_an_incomplete_one(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), replacing(tmp_path / "out") as partial:
        partial.write_text("half")
        raise error
    assert names(tmp_path) == []


def test_the_old_file_survives_a_failure(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(ValueError, match="x"), replacing(tmp_path / "out") as partial:
        partial.write_text("half")
        raise ValueError("x")
    assert (tmp_path / "out").read_text() == "old" and names(tmp_path) == ["out"]


def test_failing_before_anything_was_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), replacing(tmp_path / "out"):
        raise ValueError("x")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is a directory"),
        ("missing/out", "does not exist"),
        ("file/out", "does not exist"),
        ("fifo", "not a file"),
        ("x" * 250, "longer than"),
        ("ü" * 125, "longer than"),
    ],
)
def test_where_no_file_can_be_written(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match=message) as caught:
        check_output(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(InputError, match="not a file"):
        check_output(Path("/dev/null"))


def test_good_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").touch()
    for name in ("new", "old", "x" * 230):
        check_output(tmp_path / name)
        with replacing(tmp_path / name) as partial:
            partial.touch()
    monkeypatch.chdir(tmp_path)
    check_output(Path("relative"))


@pytest.mark.parametrize("old", [True, False])
def test_a_link_is_followed_to_where_the_file_is_to_be(tmp_path: Path, old: bool) -> None:
    large = tmp_path / "large disk"
    large.mkdir()
    if old:
        (large / "image").write_text("old")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to("../second")
    (tmp_path / "second").symlink_to(large / "image")
    check_output(tmp_path / "out/link")
    with replacing(tmp_path / "out/link") as partial:
        assert partial.parent.samefile(large)
        partial.write_text("new")
    assert (tmp_path / "out/link").is_symlink() and (tmp_path / "second").is_symlink()
    assert (large / "image").read_text() == "new"
    assert names(large) == ["image"] and names(tmp_path / "out") == ["link"]


@pytest.mark.parametrize(
    ("target", "message"), [("missing/out", "missing does not exist"), ("link", "Too many levels")]
)
def test_links_that_lead_nowhere(tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(InputError, match=message) as caught:
        check_output(tmp_path / "link")
    assert caught.value.where == str(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_links_that_others_make_in_directories_open_to_all_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    (link := tmp_path / "open/link").symlink_to(tmp_path / "precious")
    check_output(link)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    for use in (check_output, lambda path: replacing(path).__enter__()):
        with pytest.raises(InputError, match="another user"):
            use(link)
    (tmp_path / "open").chmod(0o755)
    check_output(link)


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    alive, other = tmp_path / f".image.{os.getppid()}.partial", tmp_path / f".another.{ended.pid}.partial"
    orphans = [tmp_path / f".image.{ended.pid}.partial", tmp_path / f"..image.{ended.pid}.partial.x1.partial"]
    for file in (alive, other, *orphans):
        file.touch()
    with replacing(tmp_path / "image") as partial:
        partial.touch()
    assert set(tmp_path.iterdir()) == {tmp_path / "image", alive, other}
