"""The build directory: one run at a time, nothing left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from twinroot.builder.build_directory import check_output_outside, open_build_directory, remove_tree
from twinroot.errors import BusyError, InputError

_HOLDER = """
import sys
from pathlib import Path
from twinroot.builder.build_directory import open_build_directory
with open_build_directory(Path(sys.argv[1])) as build:
    (build.scratch / "left").mkdir()
    print("open", flush=True)
    sys.stdin.read()
"""


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_another_process_must_wait(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, tmp_path / "b"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(BusyError) as caught, open_build_directory(tmp_path / "b"):
            pass
        assert caught.value.where == str(tmp_path / "b")
        assert (tmp_path / "b/scratch/left").is_dir()
        holder.kill()
    with open_build_directory(tmp_path / "b") as build:
        assert names(build.scratch) == []


def test_scratch_goes_and_caches_stay(tmp_path: Path) -> None:
    for round_number in range(2):
        with open_build_directory(tmp_path / "new/dir") as build:
            assert build.scratch.is_dir() and build.cache.is_dir()
            (build.scratch / "x").write_text("x")
            assert (build.cache / "kept").exists() is bool(round_number)
            (build.cache / "kept").touch()
        assert names(tmp_path / "new/dir") == ["cache", "lock"]


@pytest.mark.parametrize("name", ["scratch", "lock"])
def test_what_no_build_has_made_is_not_touched(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name
    if name == "scratch":
        theirs.mkdir()
        theirs = theirs / "file"
    theirs.write_text("theirs")
    with pytest.raises(InputError, match="that no build has made"), open_build_directory(tmp_path):
        pass
    assert theirs.read_text() == "theirs"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["lock", "scratch/a", "cache/a", "../there/lock"])
def test_outputs_do_not_go_where_a_build_directory_has_its_own(tmp_path: Path, name: str) -> None:
    build = tmp_path / "there"
    (build / "scratch").mkdir(parents=True)
    with pytest.raises(InputError, match="keeps for itself"):
        check_output_outside(build, build / name)
    (tmp_path / "link").symlink_to(build / name)
    with pytest.raises(InputError, match="keeps for itself"):
        check_output_outside(build, tmp_path / "link")
    check_output_outside(build, build / "image.raw")
    check_output_outside(build, tmp_path / "lock")


def test_links_that_lead_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match="--build-dir cannot be used: Too many levels"):
        check_output_outside(tmp_path / "a", tmp_path / "image")
    with (
        pytest.raises(InputError, match="--build-dir cannot be used: Too many levels"),
        open_build_directory(tmp_path / "a"),
    ):
        pass


def test_what_an_image_holds_is_out_of_the_reach_of_other_users(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o755)  # of an earlier version
    with open_build_directory(tmp_path) as build:
        assert [stat.S_IMODE(path.stat().st_mode) for path in (build.scratch, build.cache)] == [0o700, 0o700]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_scratch_goes_when_a_run_fails(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), open_build_directory(tmp_path) as build:
        (build.scratch / "x").mkdir(mode=0)
        raise error
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/none"])
def test_unusable_places(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="build-dir") as caught, open_build_directory(tmp_path / name):
        pass
    assert caught.value.where == str(tmp_path / name)


def odd_tree(root: Path, outside: Path) -> None:
    outside.mkdir()
    (outside / "precious").touch()
    (root / "a/work/work").mkdir(parents=True)
    (root / "a/work/work/file").touch()
    (root / "link to directory").symlink_to(outside)
    (root / "dangling").symlink_to("nothing")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\nname")).touch()
    os.mkfifo(root / "fifo")
    (root / "a/work/work").chmod(0)
    (root / "a/work").chmod(0)


def test_remove_tree(tmp_path: Path) -> None:
    odd_tree(tmp_path / "tree", tmp_path / "outside")
    remove_tree(tmp_path / "tree")
    assert names(tmp_path) == ["outside"] and (tmp_path / "outside/precious").exists()
    remove_tree(tmp_path / "tree")


def test_remove_tree_takes_a_link_away_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    (tmp_path / "link").symlink_to("outside")
    remove_tree(tmp_path / "link")
    assert (tmp_path / "outside/precious").exists() and not (tmp_path / "link").is_symlink()


_AS_NOBODY = """
import os, sys
from pathlib import Path
from twinroot.builder.build_directory import remove_tree
os.chdir(sys.argv[1])  # reached while still root: what lies above need not be open to everybody
os.setgid(65534); os.setuid(65534)
tree = Path("tree")
(tree / "a/work").mkdir(parents=True)
(tree / "a/work/file").touch()
(tree / "a/work").chmod(0)
(tree / "a").chmod(0o500)
remove_tree(tree)
print(os.listdir())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_remove_tree_without_privileges(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    result = subprocess.run([sys.executable, "-c", _AS_NOBODY, tmp_path], capture_output=True, text=True, check=False)
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.parametrize("name", ["a?b", "a@@b", "a$b", 'a"b', "a\\b", "a\nb"])
def test_names_that_programs_read_otherwise_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--build-dir may not contain"), open_build_directory(tmp_path / name):
        pass
    assert not (tmp_path / name).exists()
