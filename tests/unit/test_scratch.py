"""Scratch folders: removed with their run, or by the next one where it was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from twinroot.scratch import locked_folder, remove_left_over

PREFIX = "purpose-"
HOLD = """
import sys
from pathlib import Path
from twinroot.scratch import locked_folder
with locked_folder(sys.argv[1], Path(sys.argv[2])) as folder:
    (folder / "file").write_text("")
    print(folder, flush=True)
    sys.stdin.read()
"""


def holding(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has a scratch folder, and the folder."""
    argv = [sys.executable, "-c", HOLD, PREFIX, str(parent)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    other, link = tmp_path / "other-folder", tmp_path / f"{PREFIX}link"
    other.mkdir()
    link.symlink_to(other)
    (killed, left), (lives, used) = holding(tmp_path), holding(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (left / "file").exists()
    with locked_folder(PREFIX, tmp_path) as folder:
        assert not left.exists()
        assert (used / "file").exists()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    lives.communicate()
    assert lives.returncode == 0
    assert sorted(tmp_path.iterdir()) == [other, link]


def test_runs_that_begin_together_keep_their_folders(tmp_path: Path) -> None:
    def work() -> None:
        for _ in range(50):
            with locked_folder(PREFIX, tmp_path) as folder:
                (folder / "file").write_text("")
                remove_left_over(PREFIX, tmp_path)
                lost.append(not (folder / "file").exists())

    lost: list[bool] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == [False] * 200
    assert list(tmp_path.iterdir()) == []
