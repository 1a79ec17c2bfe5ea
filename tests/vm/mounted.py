"""The root filesystem of a disk image, mounted here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.formats import gpt


@contextmanager
def mounted_root(disk: Path, place: Path) -> Iterator[Path]:
    """Mount the largest partition of a raw disk image, read only, in a new folder of `place`."""
    with disk.open("rb") as stream:
        table = gpt.read_table(stream, disk.stat().st_size)
    root = max(table.partitions, key=lambda each: each.last_lba - each.first_lba)
    tree = place / "tree"
    tree.mkdir()
    offset = root.first_lba * table.sector_size
    subprocess.run(["mount", "-o", f"loop,ro,offset={offset}", disk, tree], check=True)
    try:
        yield tree
    finally:
        subprocess.run(["umount", tree], check=True)
