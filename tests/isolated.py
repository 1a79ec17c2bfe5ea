"""Running a piece of code in a process of its own that has left the host's mounts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BEFORE = """
import json, os, sys
from pathlib import Path
from twinroot.sandbox.namespace import isolate
isolate()
"""
OPEN_CHROOT = """
from twinroot.sandbox.chroot import open_chroot
from twinroot.errors import TwinrootError
root = Path(sys.argv[1])
def sh(chroot, script, **options):
    return chroot.run(["/bin/sh", "-c", script], **options).stdout.strip()
"""
"""Goes before code that runs programs in the tree that is the first argument."""


def isolated(code: str, *arguments: str | Path, expect: int = 0, before: Sequence[str | Path] = ()) -> Any:
    """Run `code` behind `isolate()`, with `sys.argv[1:]`; what it prints last is JSON and is returned.

    `before` is a command that runs the one that follows it.
    """
    command = [*before, sys.executable, "-c", _BEFORE + code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == expect, result.stderr
    lines = result.stdout.splitlines()
    return json.loads(lines[-1]) if lines else None
