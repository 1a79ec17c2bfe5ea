"""/etc/fstab: writing it (image behaviour spec §5), and its lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twinroot.plan.disk import PlacedMount, PlannedDisk, PlannedPartition

FSTAB = "/etc/fstab"


@dataclass(frozen=True)
class FstabEntry:
    """One mount: `source` as written, `options` as one string."""

    source: str
    mount_point: str
    type: str
    options: str


def fstab_entries(text: str) -> Iterator[FstabEntry]:
    """Every mount of a file, of whatever type, in file order. What is no mount is passed over."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        source, mount_point, fs_type = (_unescape(field) for field in fields[:3])
        yield FstabEntry(source, mount_point, fs_type, fields[3] if len(fields) > 3 else "defaults")


def identifies(
    source: str, *, uuid: str | None, label: str | None, part_uuid: str | None, part_label: str | None
) -> bool:
    """Whether a source (`UUID=`, `LABEL=`, `PARTUUID=`, `PARTLABEL=`) names what has these. UUIDs have no case."""
    kind, _, value = source.replace('"', "").partition("=")
    if not value:
        return False
    match kind:
        case "UUID":
            return (uuid or "").lower() == value.lower()
        case "PARTUUID":
            return (part_uuid or "").lower() == value.lower()
        case "LABEL":
            return label == value
        case "PARTLABEL":
            return part_label == value
        case _:
            return False


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
    return render_line(
        source(partition, mount.id_type), mount.path, filesystem.type, mount.options or "defaults", check
    )


def render_line(source: str, mount_point: str, fs_type: str, options: str, check: str) -> str:
    """One line; `check` is when fsck looks at it: 1 first, 2 later, 0 never."""
    return " ".join(_escape(field) for field in (source, mount_point, fs_type, options, "0", check)) + "\n"


def _escape(field: str) -> str:
    """fstab(5) separates fields by white space, which inside of one is written in octal."""
    return re.sub(r"[\s\\]", lambda char: f"\\{ord(char[0]):03o}", field)


def _unescape(field: str) -> str:
    """fstab(5) writes white space and some other characters as octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
