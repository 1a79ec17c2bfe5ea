"""e2fsprogs: making, checking, resizing and reading ext2/3/4 filesystems in files, without mounting them.

Every tool of the suite takes `FILE?offset=BYTES` for a filesystem inside a larger file (libext2fs, io options).
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.epoch import source_date_epoch
from twinroot.errors import CommandError, InternalError
from twinroot.tools import run as programs
from twinroot.tools.run import Result

_FAKE_TIMES = ("E2FSPROGS_FAKE_TIME", "E2FSCK_TIME")


def run(argv: Sequence[programs.Arg], *, stdin: bytes | None = None, ok: Sequence[int] = (0,)) -> Result:
    """`tools.run.run` with the time that a reproducible build has, by the names that e2fsprogs 1.47.0 knows."""
    epoch = source_date_epoch()
    env = {name: str(epoch) for name in _FAKE_TIMES} if epoch is not None else None
    return programs.run(argv, stdin=stdin, ok=ok, env=env)


@dataclass(frozen=True)
class Location:
    """A filesystem at `offset` bytes into a file."""

    path: Path
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.path}?offset={self.offset}" if self.offset else str(self.path)


@dataclass(frozen=True)
class Superblock:
    """The figures of a superblock that we use; sizes in bytes."""

    block_size: int
    block_count: int
    free_blocks: int
    features: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes that the filesystem covers."""
        return self.block_size * self.block_count


def make(
    path: Path,
    size: int,
    *,
    tree: Path | None,
    features: Sequence[str],
    uuid: str,
    label: str = "",
    hash_seed: str | None = None,
) -> None:
    """Make an ext4 filesystem of `size` bytes in a sparse file, filled from a directory tree.

    4096-byte blocks, 256-byte inodes and one inode for each 16 KiB whatever the size, so that a small filesystem that
    is grown later is no different from a large one. CommandError when the tree does not fit.
    """
    with path.open("wb") as file:
        file.truncate(size)
    extended = "lazy_itable_init=1,lazy_journal_init=1,nodiscard" + (f",hash_seed={hash_seed}" if hash_seed else "")
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384"]
    argv += ["-O", ",".join(["none", *features]), "-E", extended, "-U", uuid]
    if label:
        argv += ["-L", label]
    if "has_journal" in features:
        # By default the journal lies in the middle of the filesystem, and shrinking would have to move all of it.
        argv += ["-J", "location=0"]
    if tree:
        argv += ["-d", str(tree)]
    run([*argv, path])
    if tree:
        _copy_root_status(path, tree)


def _copy_root_status(path: Path, tree: Path) -> None:
    """Give the root directory the mode, owner and times of the tree's, which mke2fs leaves at its own defaults."""
    status = tree.stat()
    fields = {
        "mode": f"0{status.st_mode:o}",
        "uid": str(status.st_uid),
        "gid": str(status.st_gid),
        "atime": f"@{int(status.st_atime)}",
        "mtime": f"@{int(status.st_mtime)}",
    }
    set_inode_fields(path, ((2, name, value) for name, value in fields.items()))


def set_inode_fields(path: Path, fields: Iterable[tuple[int, str, str]]) -> None:
    """Set fields of inodes: inode number, debugfs's name of the field, value."""
    _edit(path, "".join(f"set_inode_field <{inode}> {name} {value}\n" for inode, name, value in fields))


def reset_write_count(path: Path) -> None:
    """Begin counting anew how much was ever written to the filesystem; the count holds what mke2fs did on this host."""
    _edit(path, "set_super_value kbytes_written 0\n")


def _edit(path: Path, commands: str) -> None:
    result = run(["debugfs", "-w", "-f", "-", path], stdin=commands.encode())
    # debugfs succeeds whatever happens; all it says on standard error when all is well is its version.
    complaints = [line for line in result.stderr.splitlines() if line and not line.startswith("debugfs 1.")]
    if complaints:
        raise CommandError(f"debugfs -w -f - {path}", 1, "\n".join(complaints))


def superblock(at: Location) -> Superblock:
    """Read the superblock. Through debugfs: dumpe2fs 1.47.2 takes no name with `?` in it."""
    result = run(["debugfs", "-R", "stats -h", str(at)])
    values = dict(re.findall(r"^([A-Z][^:\n]*):[ \t]*(.*)$", result.stdout, re.MULTILINE))
    # debugfs succeeds whatever happens; behind a wrong checksum, all that it prints begins with its complaint.
    if "Block count" not in values or "Checksum errors in superblock" in result.stdout:
        raise CommandError(
            f"debugfs -R 'stats -h' {shlex.quote(str(at))}", 1, result.stderr or result.stdout.partition("\n")[0]
        )
    return Superblock(
        int(values["Block size"]),
        int(values["Block count"]),
        int(values["Free blocks"]),
        tuple(values["Filesystem features"].split()),
    )


def shrink(path: Path) -> int:
    """Shrink the filesystem in a file to its minimum, cut the file behind it, and return the new size in bytes."""
    run(["resize2fs", "-f", "-M", path])
    size = superblock(Location(path)).size
    with path.open("r+b") as file:
        file.truncate(size)
    return size


def grow(at: Location, size: int) -> None:
    """Grow the filesystem that a file holds, and the file, to `size` bytes, after the check that resize2fs asks for.

    Never inside a larger file: resize2fs cuts a regular file off where the filesystem would end if it began at the
    file's start, whatever `?offset=` says, and with it all that lies behind.
    """
    if at.offset:
        raise InternalError(f"growing {at} would cut off what lies behind it")
    repair(at)
    if at.path.stat().st_size < size:
        os.truncate(at.path, size)
    run(["resize2fs", str(at), f"{size // 1024}K"])


def repair(at: Location) -> None:
    """Check, replaying the journal and correcting what can be corrected; CommandError when something stays wrong."""
    # 1: errors were corrected, which is success here.
    run(["e2fsck", "-f", "-y", str(at)], ok=(0, 1))


def check(at: Location) -> None:
    """Check without repairing; CommandError on any finding."""
    run(["e2fsck", "-f", "-n", str(at)])


def copy_used(source: Location, target: Path) -> None:
    """Copy a filesystem's used blocks into a new sparse file; free blocks are neither read nor written."""
    target.unlink(missing_ok=True)
    offset = ["-o", str(source.offset)] if source.offset else []
    run(["e2image", "-r", "-a", *offset, source.path, target])


def read_file(at: Location, path: str) -> bytes | None:
    """A regular file's contents, symbolic links followed inside the filesystem; None when it is not there."""
    resolved = _resolve(at, path)
    if resolved is None:
        return None
    if _stat(at, resolved)[0] != "regular":
        return None
    # By standard output: a file in between would stay behind when we are killed.
    return _debugfs(at, "cat", resolved).encode("utf-8", "surrogateescape")


def list_directory(at: Location, path: str) -> list[str]:
    """Names in a directory, sorted, without `.` and `..`; empty when it is not there."""
    resolved = _resolve(at, path)
    if resolved is None:
        return []
    # -p prints /inode/mode/uid/gid/name/size/ with one entry a line.
    rows = [line.split("/") for line in _debugfs(at, "ls", "-p", resolved).splitlines() if line.startswith("/")]
    return sorted(row[5] for row in rows if len(row) > 6 and row[5] not in (".", "..", ""))


def copy_tree(at: Location, path: str, target: Path) -> bool:
    """Copy a directory (for reading only) to `target`, missing or empty so far; False when it is not there."""
    resolved = _resolve(at, path)
    if resolved is None:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".twinroot-", dir=target.parent) as scratch:
        # rdump makes a directory of the same name, save for the root, which has none.
        name = resolved.rpartition("/")[2]
        place = Path(scratch, "content")
        place.mkdir()
        _debugfs(at, "rdump", resolved, str(place))
        (place / name).rename(target)
    return True


def _resolve(at: Location, path: str, depth: int = 0) -> str | None:
    """`path` with every symbolic link followed as the image itself would; None when missing or a loop."""
    if depth > 20:
        return None
    done = ""
    parts = [part for part in path.split("/") if part]
    for index, part in enumerate(parts):
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        if part == ".":
            continue
        kind, link = _stat(at, f"{done}/{part}")
        if kind is None:
            return None
        if link is not None:
            start = link if link.startswith("/") else f"{done}/{link}"
            return _resolve(at, "/".join([start, *parts[index + 1 :]]), depth + 1)
        done = f"{done}/{part}"
    return done or "/"


def _stat(at: Location, path: str) -> tuple[str | None, str | None]:
    text = _debugfs(at, "stat", path)
    kind = re.search(r"Type: (\w+)", text)
    if not kind:
        return None, None
    fast = re.search(r'^Fast link dest: "(.*)"$', text, re.MULTILINE)
    if kind.group(1) == "symlink" and not fast:
        return "symlink", _debugfs(at, "cat", path)
    return kind.group(1), fast.group(1) if fast else None


def _debugfs(at: Location, command: str, *arguments: str) -> str:
    # Its words are quoted by double quotes, in which a doubled one stands for itself (libss).
    quoted = ('"' + argument.replace('"', '""') + '"' for argument in arguments)
    return run(["debugfs", "-R", " ".join([command, *quoted]), str(at)]).stdout
