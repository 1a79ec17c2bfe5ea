"""What a root holds on disk: one entry for each file, with owner names from the root's own passwd."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_VIRTUAL = frozenset(("/proc", "/sys", "/dev", "/run", "/tmp"))


@dataclass(frozen=True)
class Entry:
    """A file, directory or symbolic link. `path` is absolute inside the root; `link` is a symbolic link's text."""

    path: str
    mode: int
    user: str
    group: str
    link: str | None
    mtime: int

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)


def scan(root: Path) -> list[Entry]:
    """Every entry of the root but `/` itself, sorted; of the kernel's and temporary directories only themselves."""
    users, groups = (_names(root / "etc" / name) for name in ("passwd", "group"))
    found = []
    for path in _walk(str(root)):
        status = os.lstat(path)
        link = str(Path(path).readlink()) if stat.S_ISLNK(status.st_mode) else None
        inside = path[len(str(root)) :]
        user, group = users.get(status.st_uid, "root"), groups.get(status.st_gid, "root")
        found.append(Entry(inside, status.st_mode, user, group, link, int(status.st_mtime)))
    return sorted(found, key=lambda entry: entry.path)


def _walk(root: str) -> Iterator[str]:
    stack = [root]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                yield entry.path
                if entry.is_dir(follow_symlinks=False) and entry.path[len(root) :] not in _VIRTUAL:
                    stack.append(entry.path)


def _names(table: Path) -> dict[int, str]:
    rows = (line.split(":") for line in table.read_text().splitlines())
    return {int(row[2]): row[0] for row in rows if len(row) > 2}


def write(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    """Write a file below the root. What was there is replaced, never written into: it may be a hard link."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_text(text)
    target.chmod(mode)


def link(root: Path, path: str, text: str) -> None:
    """Make a symbolic link below the root, in place of whatever file was there."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(text)


def remove(path: Path) -> None:
    """Remove a directory with everything in it, or a file; nothing happens when it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
