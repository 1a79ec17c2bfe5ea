"""Whether what fstab or a kernel's command line calls a device is a certain one (fstab(5), systemd's fstab-util)."""

from __future__ import annotations

import os
from pathlib import Path

from twinroot.tools.blkid import Probe

_LINKS = "/dev/disk/by-"


def names_device(source: str, device: Path, found: Probe) -> bool:
    """Whether `source` (`UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`, a path) names a device of which blkid
    found that. Case does not count in UUIDs.
    """
    kind, equals, value = source.partition("=")
    if not equals and source.startswith(_LINKS):
        kind, _, value = source.removeprefix(_LINKS).partition("/")
    value = value.strip('"')
    match kind.upper():
        case "UUID":
            return _same(value, found.uuid)
        case "PARTUUID":
            return _same(value, found.part_uuid)
        case "LABEL":
            return value == found.label
        case "PARTLABEL":
            return value == found.part_label
    return os.path.realpath(source) == os.path.realpath(device)


def _same(uuid: str, other: str | None) -> bool:
    return other is not None and uuid.lower() == other.lower()
