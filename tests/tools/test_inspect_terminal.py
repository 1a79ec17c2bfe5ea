"""Results and progress on a terminal: the result goes to standard output whole, whatever is shown beside it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from tests.images.synthetic import small_base
from tests.tools.test_convert import converted


@pytest.mark.parametrize("flags", [["--json"], ["--packages"]])
def test_the_result_goes_to_standard_output_while_progress_is_on_a_terminal(tmp_path: Path, flags: list[str]) -> None:
    disk = converted(small_base(tmp_path / "base.raw"), tmp_path / "disk.qcow2", "qcow2", tmp_path)
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "twinroot.cli.main", "inspect", disk, *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=follower, check=True,
            env=os.environ | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        shown = os.read(leader, 65536).decode()
    finally:
        os.close(leader)
        os.close(follower)
    assert "Opening the image" in shown
    text = done.stdout.decode()
    assert "\x1b" not in text
    if flags == ["--json"]:
        assert json.loads(text)["format"] == "qcow2"
    else:
        assert "┌" in text


def test_colors_on_a_terminal_only(tmp_path: Path) -> None:
    disk = small_base(tmp_path / "base.raw")
    for no_color, colored in ((None, True), ("1", False)):
        leader, follower = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
        try:
            subprocess.run(
                [sys.executable, "-m", "twinroot.cli.main", "inspect", disk], stdin=subprocess.DEVNULL,
                stdout=follower, stderr=subprocess.DEVNULL, check=True,
                env=environment | ({"NO_COLOR": no_color} if no_color else {}),
            )  # fmt: skip
            shown = os.read(leader, 65536).decode()
        finally:
            os.close(leader)
            os.close(follower)
        assert ("\x1b[" in shown) == colored
