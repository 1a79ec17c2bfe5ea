"""Digests of files and directories: what the image id and the cache of steps are made from.

With a memory, what has the same device, inode, size and times as when it was read is not read again. A file whose time
is younger than `_SETTLED` seconds is not remembered: it could change once more without a new time.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from twinroot.epoch import source_date_epoch

_SETTLED = 2.0
_MAX_REMEMBERED = 100_000
_SECOND = 10**9


class Digests:
    """Digests of paths; with `memory`, a file, what earlier runs found out is not found out again."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, list[str]] = _read(memory) if memory else {}

    def save(self) -> None:
        """Remember what was found out; best effort, as a lost memory only costs time."""
        if self._memory is None:
            return
        if len(self._known) > _MAX_REMEMBERED:
            self._known = dict(list(self._known.items())[-_MAX_REMEMBERED // 2 :])
        partial = self._memory.with_name(f"{self._memory.name}.{os.getpid()}")
        with suppress(OSError):
            partial.write_text(json.dumps(self._known))
            partial.replace(self._memory)
        with suppress(OSError):
            partial.unlink(missing_ok=True)

    def content(self, path: Path) -> str:
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

    def copied(self, path: Path, *, times: bool) -> str:
        """A digest of all that a copy of a file or a directory takes along: names, kinds, modes, link targets, content.

        With `times`, also when it was changed, as far as an image tells: no later than SOURCE_DATE_EPOCH, if it is set.
        """
        digest = hashlib.sha256()
        for name, status, entry in _entries(path):
            parts = [name, oct(status.st_mode)]
            if times:
                parts.append(str(_told(status.st_mtime_ns)))
            if stat.S_ISLNK(status.st_mode):
                parts.append(os.fspath(entry.readlink()))
            elif stat.S_ISREG(status.st_mode):
                parts.append(self.content(entry))
            digest.update(_line(parts))
        return digest.hexdigest()

    def contents(self, directory: Path, pattern: str = "*") -> str:
        """A digest of the files below a directory whose names match: of names and content, links to files followed."""
        digest = hashlib.sha256()
        for path in sorted(directory.rglob(pattern)):
            if path.is_file():
                digest.update(_line([str(path.relative_to(directory)), self.content(path)]))
        return digest.hexdigest()


def listing(directory: Path) -> str:
    """A digest of a directory that may hold much: names, kinds, modes, link targets, and what identifies files.

    The time of the last change of an inode is part of that: unlike the others, nobody can set it back.
    """
    digest = hashlib.sha256()
    for name, status, entry in _entries(directory):
        parts = [name, oct(status.st_mode)]
        if stat.S_ISLNK(status.st_mode):
            parts.append(os.fspath(entry.readlink()))
        elif stat.S_ISREG(status.st_mode):
            parts.append(_identity(status))
        digest.update(_line(parts))
    return digest.hexdigest()


def _entries(path: Path) -> Iterator[tuple[str, os.stat_result, Path]]:
    """A path itself, links to it followed, and everything below it in the order of names, links not followed."""
    yield ".", path.stat(), path
    if path.is_dir():
        for entry in sorted(path.rglob("*")):
            yield str(entry.relative_to(path)), entry.lstat(), entry


def _told(time_ns: int) -> int:
    epoch = source_date_epoch()
    return time_ns if epoch is None else min(time_ns, epoch * _SECOND)


def _line(parts: list[str]) -> bytes:
    return json.dumps(parts).encode(errors="surrogateescape")


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def _read(memory: Path) -> dict[str, list[str]]:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
