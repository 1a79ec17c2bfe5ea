"""dosfstools and mtools: FAT filesystems in files, without mounting them (the host kernel may lack vfat)."""

from __future__ import annotations

import re
from pathlib import Path

from twinroot.tools.run import run

# mtools judges sizes and geometry by floppy rules unless told not to, and asks questions on a terminal.
_ENV = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}


def make(path: Path, size: int, *, volume_id: str, label: str = "", tree: Path | None = None) -> None:
    """Make a FAT filesystem of `size` bytes (FAT12, 16 or 32 by its size), filled from a directory tree.

    `volume_id` is the UUID as blkid prints it, `1A2B-3C4D`. The tree must hold plain files and directories only.
    """
    with path.open("wb") as file:
        file.truncate(size)
    name = ["-n", label] if label else []
    run(["mkfs.vfat", "--invariant", "-i", volume_id.replace("-", ""), *name, path])
    if tree:
        entries = sorted(tree.iterdir())
        if entries:
            run(["mcopy", "-s", "-m", "-Q", "-i", path, *entries, "::/"], env=_ENV)


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
