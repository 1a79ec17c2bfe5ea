"""Output files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from twinroot.errors import InputError
from twinroot.output.files import check_output, followed, replacing


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


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
USES = (check_output, lambda path: replacing(path).__enter__())


@needs_root
@pytest.mark.parametrize("mode", [0o1777, 0o755])
@pytest.mark.parametrize("directory_owner", [0, 1234])
def test_root_follows_no_links_that_others_made(
    tmp_path: Path, mode: int, directory_owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose directory it is, and who may write there, makes no difference: a service has a folder of its own."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    os.chown(tmp_path / "open", directory_owner, directory_owner)
    (tmp_path / "precious").write_text("secret")
    (link := tmp_path / "open/link").symlink_to(tmp_path / "precious")
    check_output(link)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    (tmp_path / "second").symlink_to(link)
    for use in USES:
        for path in (link, tmp_path / "second"):
            with pytest.raises(InputError, match="another user"):
                use(path)
    assert (tmp_path / "precious").read_text() == "secret"


@needs_root
@pytest.mark.parametrize(("mode", "refused"), [(0o755, False), (0o1777, True)])
def test_root_follows_links_of_whom_it_works_for(
    tmp_path: Path, mode: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    tmp_path.chmod(mode)
    (tmp_path / "link").symlink_to("image")
    os.chown(tmp_path / "link", 1234, 1234, follow_symlinks=False)
    for use in USES:
        with pytest.raises(InputError, match="another user") if refused else nullcontext():
            use(tmp_path / "link")


@needs_root
def test_a_user_namespace_has_links_of_users_without_a_number(tmp_path: Path) -> None:
    """As the rest of the host's are there, whose owners may be above us: such as root, who put a folder elsewhere."""
    (tmp_path / "theirs").symlink_to("image")
    os.chown(tmp_path / "theirs", 1234, 1234, follow_symlinks=False)
    says = "import sys; from pathlib import Path; from twinroot.output.files import followed as f; f(Path(sys.argv[1]))"
    argv = ["unshare", "--user", "--map-root-user", sys.executable, "-c", says, str(tmp_path / "theirs")]
    assert subprocess.run(argv, check=False).returncode == 0


def test_links_that_come_and_go(tmp_path: Path) -> None:
    """Somebody exchanges a link all the time: what is found is one of the things that were there."""
    script = "import os, sys; [(os.symlink('a', 'link'), os.unlink('link')) for _ in iter(int, 1)]"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path) as busy:
        try:
            found = {followed(tmp_path / "link").name for _ in range(3000)}
        finally:
            busy.kill()
    assert found <= {"link", "a"}


@pytest.mark.parametrize("way", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("gone", [False, True])
def test_open_files_are_not_replaced(tmp_path: Path, way: str, gone: bool) -> None:
    """`--outfile /dev/stdout >> app.log` would replace what was in the log before."""
    (tmp_path / "app.log").write_text("before\n")
    (tmp_path / "link").symlink_to("/dev/stdout")
    script = "import os, sys; from pathlib import Path; from twinroot.output.files import replacing\n"
    script += "if sys.argv[2:]: os.unlink('app.log')\n"
    script += "with replacing(Path(sys.argv[1])) as partial: partial.write_text('new')\n"
    with (tmp_path / "app.log").open("a") as file:
        argv = [sys.executable, "-c", script, way, *(["gone"] if gone else [])]
        done = subprocess.run(argv, cwd=tmp_path, stdout=file, stderr=subprocess.PIPE, text=True, check=False)
    assert "InputError" in done.stderr and "/proc" in done.stderr and "name the file itself" in done.stderr
    assert names(tmp_path) == (["link"] if gone else ["app.log", "link"])
    assert gone or (tmp_path / "app.log").read_text() == "before\n"


def test_directories_of_proc_lead_where_they_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with replacing(Path("/proc/self/cwd/out")) as partial:
        partial.write_text("new")
    assert (tmp_path / "out").read_text() == "new"


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
