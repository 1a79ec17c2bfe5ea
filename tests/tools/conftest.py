"""A tree that stands for an image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_PROGRAMS = "sh cat ls mount umount hostname sleep mkdir touch grep echo id env rm"


@pytest.fixture
def busybox_tree(tmp_path: Path) -> Path:
    """A tree with a shell, in a directory with an odd name. Skips the test where nothing can be run in it."""
    busybox = shutil.which("busybox")
    if os.geteuid() != 0 or busybox is None:
        pytest.skip("needs root and busybox-static")
    tree = tmp_path / "a tree, with: odd 'name'"
    (tree / "bin").mkdir(parents=True)
    shutil.copyfile(busybox, tree / "bin/busybox")
    (tree / "bin/busybox").chmod(0o755)
    for name in _PROGRAMS.split():
        (tree / "bin" / name).symlink_to("busybox")
    return tree
