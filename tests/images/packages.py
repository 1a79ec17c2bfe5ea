"""The agent's packages, built where they are older than their sources."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.images import REPOSITORY


def built_packages() -> Path:
    """The folder `bin`, with packages of the sources as they are; whoever comes while they are being built waits."""
    folder = REPOSITORY / "bin"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in _sources())
        for kind in ("rpms", "debs"):
            made = folder / f"trident-{kind}.tar.gz"
            if not made.exists() or made.stat().st_mtime < newest:
                script = REPOSITORY / "packaging/build_packages.py"
                subprocess.run([sys.executable, script, kind], check=True, cwd=REPOSITORY)
    return folder


def _sources() -> list[Path]:
    folders = [REPOSITORY / name for name in ("src", "packaging")]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
