"""Digests of files and directories, remembered between runs.

What has the same device, inode, size and times as when it was read is not read again. A file whose time is younger than
`_SETTLED` seconds is not remembered: it could change once more without a new time.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path

_SETTLED = 2.0
_MAX_REMEMBERED = 100_000


class Digests:
    """Digests, with the memory of earlier runs in a file."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list[str]] = _read(memory)

    def save(self) -> None:
        """Remember what was found out; best effort, as a lost memory only costs time."""
        if len(self._known) > _MAX_REMEMBERED:
            self._known = dict(list(self._known.items())[-_MAX_REMEMBERED // 2 :])
        partial = self._memory.with_name(f"{self._memory.name}.{os.getpid()}")
        partial.write_text(json.dumps(self._known))
        partial.replace(self._memory)

    def file(self, path: Path) -> str:
        """The SHA-256 of a file's content, also through a link; what is no regular file counts by what it is."""
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return f"{stat.S_IFMT(status.st_mode):o}:{status.st_rdev}"
        name = str(path.absolute())
        key = _identity(status)
        if self._known.get(name, [""])[0] == key:
            return self._known[name][1]
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if time.time() - status.st_mtime > _SETTLED:
            self._known[name] = [key, digest]
        return digest

    def tree(self, directory: Path, *, contents: bool, pattern: str = "*") -> str:
        """A digest of everything below a directory: names, kinds, modes, link targets, and the content of files.

        Without `contents`, sizes and times stand for it: for directories that may hold much.
        """
        found = hashlib.sha256()
        for path in sorted(directory.rglob(pattern)):
            status = path.lstat()
            parts = [str(path.relative_to(directory)), oct(status.st_mode)]
            if stat.S_ISLNK(status.st_mode):
                parts.append(os.fspath(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                parts.append(self.file(path) if contents else f"{status.st_size}:{status.st_mtime_ns}")
            found.update(json.dumps(parts).encode(errors="surrogateescape"))
        return found.hexdigest()


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def _read(memory: Path) -> dict[str, list[str]]:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
