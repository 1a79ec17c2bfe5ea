"""Running the image's own programs inside its tree.

Each program runs with the tree as its root, in PID, mount, IPC, UTS, cgroup and usually network namespaces of its own,
so that it cannot leave a process or a mount behind, see ours, or rename the host. It gets a `/dev` with six harmless
nodes, an empty `/sys` (the host's firmware variables and devices are none of its business), a `/proc` whose host
settings are read-only, and an empty `/run` and `/tmp`. The host's name is hidden by `namespace`.

The image is trusted with nothing. Its programs have only those of root's capabilities that it takes to write an image,
and none to mount. Those that may mount, which are the user's scripts, are in a user namespace of their own, where the
kernel lets nobody change the mounts that were there before. The host's tree is no longer mounted when they start. What
is done is in `enter`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import InputError
from twinroot.sandbox import enter
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import resolve_inside
from twinroot.sandbox.refused import call_filter
from twinroot.sandbox.resolver import lent_resolver
from twinroot.tools.run import Result, proxies, run

_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
}


@dataclass(frozen=True)
class Chroot:
    """An image tree that programs can be run in; made by `open_chroot`."""

    root: Path

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        ok: Sequence[int] = (0,),
        on_line: Callable[[str], None] | None = None,
        merged: bool = False,
        network: bool = False,
        may_mount: bool = False,
        fills: bool = False,
    ) -> Result:
        """Run a program of the image; as `tools.run.run`. `network` lets it reach the host's network,
        and know its name servers and proxies. One that `fills` the tree is ended when its disk stays full.

        One that `may_mount` is in a user namespace of its own, in which it may mount, name the host and set up the
        network; it cannot make device nodes there, nor write attributes such as SELinux labels.

        `env` adds to `ENVIRONMENT`. It reaches the image's program only, and no command line that others can see.
        """
        options = "m" * may_mount + "n" * network or "-"
        # Without our modules, which it does not need: quicker, and none of them can be what is to be changed.
        command = [sys.executable, "-I", "-S", "-B", enter.__file__, str(self.root), options, *argv]
        refused = call_filter(may_mount=may_mount, network=network)
        environment = ENVIRONMENT | (proxies() if network else {}) | dict(env or {})
        given = {"environment": environment, "filter": refused.hex()}
        outside = {"TWINROOT_ENTER": json.dumps(given)}
        with lent_resolver(self.root) if network else nullcontext():
            room = self.root if fills else None
            return run(command, env=outside, stdin=stdin, ok=ok, on_line=on_line, merged=merged, room=room)

    @contextmanager
    def showing(self, directory: Path, name: str) -> Iterator[str]:
        """Show a directory of the host as /NAME of the image, read-only, for as long as the block runs; its path."""
        target = self.root / name
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise InputError(f"/{name} of the image is not a directory")
        status = self.root.stat()
        with Mounts() as mounts:
            mounts.bind(directory, target, read_only=True, temporary=True)
            yield f"/{name}"
        # The mount point came and went: nothing in the image shall tell of it.
        os.utime(self.root, ns=(status.st_atime_ns, status.st_mtime_ns))

    def has(self, program: str) -> bool:
        """Whether the image has a program in its search path."""
        return self.which(program) is not None

    def which(self, program: str) -> str | None:
        """The path of a program inside the image, or None."""
        for directory in ENVIRONMENT["PATH"].split(":"):
            path = resolve_inside(self.root, directory) / program
            if path.is_symlink() or path.exists():
                return f"{directory}/{program}"
        return None


@contextmanager
def open_chroot(root: Path, *, disk_links: Mapping[str, str] | None = None) -> Iterator[Chroot]:
    """Prepare `/dev`, `/proc`, `/sys`, `/run` and `/tmp` over a tree and take them away again.

    `disk_links` names entries below `/dev/disk` (such as `by-uuid/…`) that shall exist, with the device name each
    stands for: tools that write boot configuration look whether a device of that name is there.
    """
    for name in ("dev", "proc", "sys", "run", "tmp"):
        _plain_directory(root, name)
    with Mounts() as mounts:
        dev = mounts.tmpfs(root / "dev", "mode=755,size=4M,nosuid,nodev")
        for name in _NODES:
            (dev / name).touch()
            mounts.bind(Path("/dev", name), dev / name)
        for name, target in _LINKS.items():
            (dev / name).symlink_to(target)
        (dev / "shm").mkdir(mode=0o1777)
        (dev / "pts").mkdir()
        for link, device in (disk_links or {}).items():
            node, place = dev / device.removeprefix("/dev/"), dev / "disk" / link
            place.parent.mkdir(parents=True, exist_ok=True)
            node.touch()
            place.symlink_to(os.path.relpath(node, place.parent))
        mounts.tmpfs(root / "sys", "mode=555,size=64k,ro")
        mounts.tmpfs(root / "run", "mode=755,nosuid,nodev")
        mounts.tmpfs(root / "tmp", "mode=1777,nosuid,nodev")
        yield Chroot(root)


def _plain_directory(root: Path, name: str) -> None:
    """Make a mount point in the tree; a link in its place could lead anywhere on the host."""
    path = root / name
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"/{name} of the image is not a directory")
    path.mkdir(exist_ok=True)
