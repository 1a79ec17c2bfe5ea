"""Running a root's own programs: /proc, a private /dev and /sys, and files laid over others, gone at the end."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from twinroot.tools.run import Result, run

_ENTER = """set -e
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node" && mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/dev/shm" "$root/dev/disk/by-uuid"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
"""


def run_inside(
    root: Path, argv: Sequence[str], *, over: Mapping[str, Path] | None = None, devices: Sequence[str] = ()
) -> Result:
    """Run a program in the root. `over` shows host files in place of those inside; `devices` become empty files."""
    lines = [f"root={shlex.quote(str(root))}", _ENTER]
    lines += [f'touch "$root"{shlex.quote(path)}' for path in devices]
    lines += [
        f'mount --bind {shlex.quote(str(source))} "$root"{shlex.quote(path)}' for path, source in (over or {}).items()
    ]
    lines += [f'exec chroot "$root" {shlex.join(argv)}']
    return run(
        [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "sh",
            "-c",
            "\n".join(lines),
        ],
        env={"HOME": "/root"},
    )
