"""Writing /etc/fstab (image behaviour spec §5). Pure."""

from __future__ import annotations

import re

from twinroot.plan.disk import PlannedDisk, PlannedPartition, mount_path


def render(disk: PlannedDisk) -> str:
    """One line for each mounted filesystem, sorted by mount point."""
    return "".join(_line(partition) for partition in sorted(disk.mounted, key=mount_path))


def source(partition: PlannedPartition, id_type: str) -> str:
    """How a partition is named by `id_type`: `UUID=…`, `PARTUUID=…` or `PARTLABEL=…`."""
    match id_type:
        case "uuid":
            return f"UUID={partition.filesystem.uuid if partition.filesystem else ''}"
        case "part-label":
            return f"PARTLABEL={partition.entry.name}"
        case _:
            return f"PARTUUID={partition.entry.uuid}"


def _line(partition: PlannedPartition) -> str:
    filesystem = partition.filesystem
    assert filesystem is not None and filesystem.mount is not None
    mount = filesystem.mount
    check = "1" if mount.path == "/" else "2"
    fields = (source(partition, mount.id_type), mount.path, filesystem.type, mount.options or "defaults", "0", check)
    return " ".join(_escape(field) for field in fields) + "\n"


def _escape(field: str) -> str:
    """fstab(5) separates fields by white space, which inside of one is written in octal."""
    return re.sub(r"[\s\\]", lambda char: f"\\{ord(char[0]):03o}", field)
