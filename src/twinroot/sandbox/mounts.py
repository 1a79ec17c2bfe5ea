"""Mounts inside our own mount namespace, undone in reverse order. See `namespace` for why none can be left behind."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType

from twinroot.errors import CommandError
from twinroot.interrupts import held
from twinroot.tools.btrfs import naming_twins
from twinroot.tools.run import run, start, stop

# nouuid: the host may have mounted a filesystem of the same identity; subvolid=5: from the top, whatever the default.
_UNREPLAYED = {"xfs": ",norecovery,nouuid", "btrfs": ",rescue=nologreplay,subvolid=5"}
# overlayfs waits for the disk with every file it copies up, unless told that the changes are not for keeping: ours live
# as long as the run. Eight times as fast where every file gets an SELinux label.
_VOLATILE_SINCE = (5, 10)


class Mounts:
    """A stack of mounts. Leaving the context unmounts them, the newest first."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Mounts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with held():
            self._stack.close()

    def bind(self, source: Path, target: Path, *, read_only: bool = False, temporary: bool = False) -> Path:
        """Show one file or directory, without the mounts below it, at another place.

        A mount point that has to be made for it goes away with the mount if it is `temporary` and still empty.
        """
        if temporary and not target.exists():
            target.mkdir(parents=True)
            self._stack.callback(lambda: target.rmdir() if not any(target.iterdir()) else None)
        self._mount(target, ["--bind", str(source), str(target)])
        if read_only:
            # In a user namespace, restrictions that the filesystem has already may not be lifted.
            noexec = ",noexec" if os.statvfs(source).f_flag & os.ST_NOEXEC else ""
            run(["mount", "-o", f"remount,bind,ro,nosuid,nodev{noexec}", target])
        return target

    def tmpfs(self, target: Path, options: str) -> Path:
        """An empty filesystem in memory."""
        return self._mount(target, ["-t", "tmpfs", "-o", options, "tmpfs", str(target)])

    def overlay(
        self, lower: Path, upper: Path, work: Path, target: Path, *, unprivileged: bool, lasting: bool = False
    ) -> Path:
        """`lower` read-only, with `upper` collecting all changes. Directories are made as needed.

        `lasting`: the changes are kept, and another overlay will have them.
        """
        new = not upper.exists()
        for directory in (upper, work):
            directory.mkdir(parents=True, exist_ok=True)
        if new:
            copy_status(lower, upper)
        # nodev: a device node of the base image must not be the host's device.
        options = f"nodev,lowerdir={_escape(lower)},upperdir={_escape(upper)},workdir={_escape(work)}"
        # xino: all files show the device of the overlay, which programs look at that shall not leave a file system.
        # Without privileges overlayfs keeps its marks in user.* attributes (kernel 5.11).
        options += ",userxattr" if unprivileged else ",index=off,metacopy=off,redirect_dir=off,xino=on"
        if not lasting and kernel_version() >= _VOLATILE_SINCE:
            options += ",volatile"
        return self._mount(target, ["-t", "overlay", "-o", options, "overlay", str(target)])

    def filesystem(self, path: Path, offset: int, size: int, fs_type: str, target: Path, *, unprivileged: bool) -> Path:
        """A filesystem inside a file, read-only: through a loop device as root, through fuse2fs otherwise."""
        if unprivileged:
            target.mkdir(parents=True, exist_ok=True)
            return self._fuse2fs(path, offset, target)
        # A journal that was not replayed must not make a read-only mount fail or write.
        extra = ",noload" if fs_type.startswith("ext") else _UNREPLAYED.get(fs_type, "")
        options = f"loop,ro,nodev,offset={offset},sizelimit={size}{extra}"
        with _explained(path, fs_type):
            return self._mount(target, ["-t", fs_type, "-o", options, str(path), str(target)])

    def _fuse2fs(self, path: Path, offset: int, target: Path) -> Path:
        """Serve an ext filesystem by a process that ends with us, whatever ends us: in the background it would stay."""
        with tempfile.TemporaryFile() as errors:
            outside = target.stat().st_dev
            process = start(["fuse2fs", "-f", "-o", f"ro,fakeroot,offset={offset}", path, target], stderr=errors)
            self._stack.callback(stop, process)
            while target.stat().st_dev == outside:
                if process.poll() is not None:
                    errors.seek(0)
                    output = errors.read().decode("utf-8", "replace")
                    raise CommandError(f"fuse2fs {path} {target}", process.returncode, output)
                time.sleep(0.01)
        self._stack.callback(_unmount(target))
        return target

    def _mount(self, target: Path, arguments: list[str]) -> Path:
        if not target.exists():
            target.mkdir(parents=True)
        with held():
            run(["mount", *arguments])
            self._stack.callback(_unmount(target))
        return target


def kernel_version() -> tuple[int, int]:
    """Major and minor number of the running kernel."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@contextmanager
def writable(path: Path, fs_type: str, target: Path, options: str) -> Iterator[Path]:
    """The filesystem in a file, mounted for writing through a loop device (as root); complete in it afterwards."""
    target.mkdir(parents=True, exist_ok=True)
    with held(), _explained(path, fs_type):
        run(["mount", "-t", fs_type, "-o", f"loop,nodev,noatime,{options}", path, target])
    try:
        yield target
    except BaseException:
        with held():
            # Whoever tries again needs the loop device to be gone; a stray open file keeps it only until we end.
            if run(["umount", target], ok=(0, 32)).code:
                run(["umount", "--lazy", target])
            target.rmdir()
        raise
    with held():
        # Not lazily: the file is complete when this returns.
        run(["umount", target])
        target.rmdir()


def unmount_below(directory: Path) -> None:
    """Unmount what an interrupted run of ours left mounted below a directory, so that it can be removed safely."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        target = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), line.split()[4])
        if directory in Path(target).parents:
            run(["umount", "--lazy", target])


def copy_status(source: Path, target: Path) -> None:
    """Give a directory the owner, mode, times and attributes of another: an overlay's root shows those of its upper."""
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    shutil.copystat(source, target)


def _explained(path: Path, fs_type: str) -> AbstractContextManager[None]:
    return naming_twins(path) if fs_type == "btrfs" else nullcontext()


def _unmount(target: Path) -> Callable[[], object]:
    # Lazily, so that a stray open file cannot keep us: the namespace dies with us anyway.
    return lambda: run(["umount", "--lazy", target])


def _escape(path: Path) -> str:
    """Overlay options separate layers by colons and options by commas; a backslash takes their meaning away."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
