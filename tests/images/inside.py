"""Looking into the root filesystem of a raw disk image, without mounting it."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """What debugfs says about a file: `kind` is regular, directory or symlink; `mtime` in ns; `used` bytes on disk."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    used: int
    link: str | None


class Inside:
    """The filesystem of one partition of a disk, usually the second, which is the root; counted from 0."""

    def __init__(self, raw: Path, number: int = 1) -> None:
        rows = _run("sfdisk", "--dump", raw).splitlines()
        start = [row for row in rows if "start=" in row][number].split("start=")[1].split(",")[0]
        self.at = f"{raw}?offset={int(start) * 512}"

    def text(self, path: str) -> str | None:
        """The content of a file, None when there is none."""
        return _run("debugfs", "-R", f'cat "{path}"', self.at) if self.entry(path) else None

    def names(self, path: str) -> list[str]:
        """What is in a directory, sorted."""
        rows = [row.split("/") for row in _run("debugfs", "-R", f'ls -p "{path}"', self.at).splitlines()]
        return sorted(row[5] for row in rows if len(row) > 6 and row[5] not in (".", "..", "lost+found"))

    def entry(self, path: str) -> Entry | None:
        """What is known about a file, None when there is none."""
        text = _run("debugfs", "-R", f'stat "{path}"', self.at)
        if "Inode:" not in text:
            return None
        kind, mode = re.findall(r"Type: (\w+) +Mode: +(\d+)", text)[0]
        uid, gid = re.findall(r"User: +(\d+) +Group: +(\d+)", text)[0]
        seconds, extra = re.findall(r"mtime: 0x([0-9a-f]+)(?::([0-9a-f]+))?", text)[0]
        link = re.findall(r'[Ll]ink dest: "(.*)"', text)
        return Entry(
            kind=kind,
            mode=int(mode, 8),
            uid=int(uid),
            gid=int(gid),
            size=int(re.findall(r"Size: (\d+)", text)[0]),
            mtime=int(seconds, 16) * 10**9 + (int(extra or "0", 16) >> 2),
            used=int(re.findall(r"Blockcount: (\d+)", text)[0]) * 512,
            link=link[0] if link else None,
        )

    def owner(self, path: str) -> tuple[int, int, int]:
        """Mode and owner of a file that must be there."""
        found = self.entry(path)
        assert found, path
        return found.mode, found.uid, found.gid

    def row(self, table: str, name: str) -> list[str]:
        """The fields of a line of /etc/passwd and its like, by its first field; empty when there is none."""
        rows = [line.split(":") for line in (self.text(table) or "").splitlines()]
        return next((row for row in rows if row[0] == name), [])


def _run(*argv: object) -> str:
    env = os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run([*map(str, argv)], capture_output=True, check=True, env=env)
    return done.stdout.decode("utf-8", "surrogateescape")
