"""dosfstools and mtools: FAT filesystems in files, without mounting them (the host kernel may lack vfat)."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from twinroot.tools.run import run

# mtools judges sizes and geometry by floppy rules unless told not to, and asks questions on a terminal.
_ENV = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}
_AT_ONCE = 500  # files of one command line


def make(path: Path, size: int, *, volume_id: str, label: str = "", tree: Path | None = None) -> None:
    """Make a FAT filesystem of `size` bytes (FAT12, 16 or 32 by its size), filled from a directory tree.

    `volume_id` is the UUID as blkid prints it, `1A2B-3C4D`. The tree must hold plain files and directories only.
    """
    with path.open("wb") as file:
        file.truncate(size)
    name = ["-n", label] if label else []
    run(["mkfs.vfat", "--invariant", "-i", volume_id.replace("-", ""), *name, path])
    if tree:
        with tempfile.TemporaryDirectory(prefix=".twinroot-", dir=path.parent) as scratch:
            _fill(path, tree, "::/", Path(scratch))


def _fill(path: Path, directory: Path, target: str, scratch: Path) -> None:
    """Copy a directory's content, sorted: mcopy by itself takes directories in the order that the host has them in.

    `target` is a pattern of mtools, as every name of theirs is that must be there already.
    """
    entries = sorted(directory.iterdir())
    files = [entry for entry in entries if not entry.is_dir()]
    for start in range(0, len(files), _AT_ONCE):
        run(["mcopy", "-m", "-Q", "-i", path, *files[start : start + _AT_ONCE], target], env=_ENV)
    for entry in entries:
        if entry.is_dir():
            # An empty copy of it, since mmd knows no times.
            empty = scratch / entry.name
            empty.mkdir()
            os.utime(empty, ns=(0, entry.stat().st_mtime_ns))
            run(["mcopy", "-s", "-m", "-Q", "-i", path, empty, target], env=_ENV)
            empty.rmdir()
            _fill(path, entry, f"{target}{entry.name.replace('[', '[[]')}/", scratch)


def extract(path: Path, offset: int, target: Path) -> None:
    """Copy everything in the FAT filesystem at `offset` bytes into a directory, with times."""
    target.mkdir(parents=True, exist_ok=True)
    # The root as a whole: single names would be taken for patterns.
    run(["mcopy", "-s", "-m", "-n", "-Q", "-i", f"{path}@@{offset}", "::/", target], env=_ENV)


def read_file(path: Path, offset: int, name: str) -> bytes | None:
    """One file of the filesystem at `offset`; None when it is not there. Names compare without case."""
    result = run(["mtype", "-i", f"{path}@@{offset}", f"::{name}"], env=_ENV, ok=(0, 1))
    return result.stdout.encode("utf-8", "surrogateescape") if result.code == 0 else None


def list_files(path: Path, offset: int) -> list[str]:
    """Paths of all files (not directories) in the filesystem at `offset`, absolute, sorted."""
    listing = run(["mdir", "-/", "-b", "-i", f"{path}@@{offset}", "::/"], env=_ENV, ok=(0, 1)).stdout
    names = (line.removeprefix("::") for line in listing.splitlines() if line.startswith("::"))
    return sorted(name for name in names if not name.endswith("/"))


def free_bytes(path: Path, offset: int) -> int | None:
    """Free bytes of the filesystem at `offset`, as mdir counts them; None when it does not tell."""
    listing = run(["mdir", "-i", f"{path}@@{offset}", "::/"], env=_ENV, ok=(0, 1)).stdout
    found = re.search(r"([\d ]+) bytes free", listing)
    return int(found.group(1).replace(" ", "")) if found else None
