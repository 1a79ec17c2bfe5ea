"""blkid: what filesystem lies in a region of a file, by low-level probing (no cache, no device names)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinroot.tools.run import run


@dataclass(frozen=True)
class Probe:
    """Type (`ext4`, `vfat`, `xfs`, …), UUID as the kernel and udev show it, and label; None where there is none."""

    type: str | None
    uuid: str | None
    label: str | None
    usage: str | None = None


def probe(path: Path, offset: int = 0, size: int | None = None) -> Probe:
    """Probe `size` bytes at `offset` of a file. Exit code 2 of blkid means that nothing was recognised."""
    region = ["--offset", str(offset)] + (["--size", str(size)] if size is not None else [])
    result = run(["blkid", "--probe", *region, "--output", "export", path], ok=(0, 2))
    values = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    return Probe(values.get("TYPE"), values.get("UUID"), values.get("LABEL"), values.get("USAGE"))
