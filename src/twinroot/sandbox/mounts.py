"""Mounts inside our own mount namespace, undone in reverse order. See `namespace` for why none can be left behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from twinroot.tools.run import run


class Mounts:
    """A stack of mounts. Leaving the context unmounts them, the newest first."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Mounts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            run(["mount", "-o", "remount,bind,ro", target])
        return target

    def tmpfs(self, target: Path, options: str) -> Path:
        """An empty filesystem in memory."""
        return self._mount(target, ["-t", "tmpfs", "-o", options, "tmpfs", str(target)])

    def overlay(self, lower: Path, upper: Path, work: Path, target: Path, *, unprivileged: bool) -> Path:
        """`lower` read-only, with `upper` collecting all changes. Directories are made as needed."""
        for directory in (upper, work):
            directory.mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={_escape(lower)},upperdir={_escape(upper)},workdir={_escape(work)}"
        # Without privileges overlayfs keeps its marks in user.* attributes (kernel 5.11).
        options += ",userxattr" if unprivileged else ",index=off,metacopy=off,redirect_dir=off,xino=off"
        return self._mount(target, ["-t", "overlay", "-o", options, "overlay", str(target)])

    def filesystem(self, path: Path, offset: int, size: int, fs_type: str, target: Path, *, unprivileged: bool) -> Path:
        """A filesystem inside a file, read-only: through a loop device as root, through fuse2fs otherwise."""
        if unprivileged:
            target.mkdir(parents=True, exist_ok=True)
            run(["fuse2fs", "-o", f"ro,fakeroot,offset={offset}", path, target])
            self._stack.callback(_unmount(target))
            return target
        # noload: a journal that was not replayed must not make a read-only mount fail or write.
        extra = ",noload" if fs_type.startswith("ext") else ",norecovery" if fs_type == "xfs" else ""
        options = f"loop,ro,offset={offset},sizelimit={size}{extra}"
        return self._mount(target, ["-t", fs_type, "-o", options, str(path), str(target)])

    def _mount(self, target: Path, arguments: list[str]) -> Path:
        if not target.exists():
            target.mkdir(parents=True)
        run(["mount", *arguments])
        self._stack.callback(_unmount(target))
        return target


def _unmount(target: Path) -> Callable[[], object]:
    # Lazily, so that a stray open file cannot keep us: the namespace dies with us anyway.
    return lambda: run(["umount", "--lazy", target])


def _escape(path: Path) -> str:
    """Overlay options separate layers by colons and options by commas; a backslash takes their meaning away."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
