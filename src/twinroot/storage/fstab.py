"""Writing /etc/fstab (image behaviour spec §5). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from twinroot.plan.disk import PlacedMount, PlannedDisk, PlannedPartition


def render(disk: PlannedDisk) -> str:
    """One line for each mounted filesystem or subvolume, sorted by mount point."""
    return "".join(_line(placed) for placed in disk.mounts)


def source(partition: PlannedPartition, id_type: str) -> str:
    """How a partition is named by `id_type`: `UUID=…`, `PARTUUID=…` or `PARTLABEL=…`."""
    match id_type:
        case "uuid":
            return f"UUID={partition.filesystem.uuid if partition.filesystem else ''}"
        case "part-label":
            return f"PARTLABEL={partition.entry.name}"
        case _:
            return f"PARTUUID={partition.entry.uuid}"


_IDENTIFIED = re.compile(r'^(\s*(?:UUID=|PARTUUID=|/dev/disk/by-(?:uuid|partuuid)/)"?)([^\s"]+)', re.IGNORECASE)


def rename_sources(text: str, identifiers: Mapping[str, str]) -> str:
    """An fstab in which what is named by a UUID goes by its new one (old in lower case to new); the rest as it is."""

    def renamed(match: re.Match[str]) -> str:
        return match[1] + identifiers.get(match[2].lower(), match[2])

    return "".join(_IDENTIFIED.sub(renamed, line) for line in text.splitlines(keepends=True))


def _line(placed: PlacedMount) -> str:
    partition, mount, filesystem = placed.partition, placed.mount, placed.partition.filesystem
    assert filesystem is not None
    check = "1" if mount.path == "/" else "2"
    fields = (source(partition, mount.id_type), mount.path, filesystem.type, mount.options or "defaults", "0", check)
    return " ".join(_escape(field) for field in fields) + "\n"


def _escape(field: str) -> str:
    """fstab(5) separates fields by white space, which inside of one is written in octal."""
    return re.sub(r"[\s\\]", lambda char: f"\\{ord(char[0]):03o}", field)
