"""blkid: what filesystem lies in a region of a file, by low-level probing (no cache, no device names)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from twinroot.tools.run import run


@dataclass(frozen=True)
class Probe:
    """Type (`ext4`, `vfat`, `xfs`, …), UUID as the kernel and udev show it, and label; None where there is none.

    `part_uuid` and `part_label` are those of the partition table, for a partition that is a device.
    """

    type: str | None
    uuid: str | None
    label: str | None
    usage: str | None = None
    part_uuid: str | None = None
    part_label: str | None = None


def probe(path: Path, offset: int = 0, size: int | None = None) -> Probe:
    """Probe `size` bytes at `offset` of a file. Exit code 2 of blkid means that nothing was recognised."""
    region = ["--offset", str(offset)] + (["--size", str(size)] if size is not None else [])
    result = run(["blkid", "--probe", *region, "--output", "udev", path], ok=(0, 2))
    values = dict(line.split("=", 1) for line in result.stdout.split("\n") if "=" in line)
    return Probe(
        values.get("ID_FS_TYPE"),
        values.get("ID_FS_UUID"),
        _decode(values.get("ID_FS_LABEL_ENC")),
        values.get("ID_FS_USAGE"),
        values.get("ID_PART_ENTRY_UUID"),
        _decode(values.get("ID_PART_ENTRY_NAME")),
    )


def _decode(value: str | None) -> str | None:
    """blkid writes what a shell or udev could stumble over as `\\x20`."""
    if not value:
        return None
    data = re.sub(
        rb"\\x([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), value.encode("utf-8", "surrogateescape")
    )
    return data.decode("utf-8", "surrogateescape")
