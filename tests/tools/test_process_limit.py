"""Where the system lets a command start no further thread or process, it says so, and which limits there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.agent.small_cosi import write_cosi

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user, as the limit counts all of a user's")

_USER = "4242"  # has no process
# May read what root may, as Python and the image may lie where others do not get.
_MAY_READ = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def run_alone(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `twinroot` as a user who may have this one process."""
    argv = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *_MAY_READ]
    argv += ["prlimit", "--nproc=1:1", sys.executable, "-m", "twinroot.cli.main", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_threads(tmp_path: Path) -> None:
    image = write_cosi(tmp_path / "image.cosi", os.urandom(1 << 20))
    done = run_alone("verify", image)
    assert (done.returncode, "no more processes and threads may be started" in done.stderr) == (1, True), done.stderr


def test_programs(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
    done = run_alone("inspect", image)
    assert (done.returncode, "no more processes and threads may be started" in done.stderr) == (1, True), done.stderr
