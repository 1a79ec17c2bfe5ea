"""Whether what fstab or a kernel's command line calls a device is a certain one (fstab(5), systemd's fstab-util)."""

from __future__ import annotations

import os
from pathlib import Path

from twinroot.storage.fstab import identifies
from twinroot.tools.blkid import Probe

_LINKS = "/dev/disk/by-"


def names_device(source: str, device: Path, found: Probe) -> bool:
    """Whether `source` (`UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`, a path) names a device of which blkid
    found that. Case does not count in UUIDs.
    """
    if source.startswith(_LINKS):
        kind, _, value = source.removeprefix(_LINKS).partition("/")
        source = f"{kind.upper()}={value}"
    by_name = identifies(
        source, uuid=found.uuid, label=found.label, part_uuid=found.part_uuid, part_label=found.part_label
    )
    # What an image says may be no path at all.
    return by_name or ("\0" not in source and os.path.realpath(source) == os.path.realpath(device))
