"""The base image's /etc/fstab: which partition is mounted where (image behaviour spec §2.2). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from twinroot.storage.fstab import FstabEntry, fstab_entries

# What is no partition of the image: nothing of it can be rebuilt, and none of it makes an image unusable.
_MEMORY = {"tmpfs", "ramfs", "devtmpfs", "proc", "sysfs", "devpts", "hugetlbfs", "debugfs", "tracefs", "securityfs"}
_MEMORY |= {"efivarfs", "configfs", "mqueue", "cgroup", "cgroup2", "binfmt_misc", "bpf"}
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "9p", "virtiofs", "autofs", "fuse"}
_IGNORED_TYPES = _MEMORY | _NETWORK | {"swap", "overlay", "bind", "none", "iso9660"}
_DATA_DISKS = ("/dev/disk/azure/", "/dev/disk/cloud/azure_")


def parse_fstab(text: str) -> list[FstabEntry]:
    """The entries that mount a partition of the image, in file order.

    Passed over: comments, swap, overlays, bind mounts, memory and network filesystems, the cloud's data disks,
    `noauto` entries.
    """
    entries = []
    for entry in fstab_entries(text):
        words = set(entry.options.split(","))
        if entry.type in _IGNORED_TYPES or {"bind", "rbind", "noauto", "_netdev"} & words:
            continue
        if entry.type.startswith("fuse.") or entry.source.startswith(_DATA_DISKS):
            continue
        entries.append(replace(entry, mount_point=re.sub(r"(?<=.)/+$", "", entry.mount_point)))
    return entries


def mount_problem(entries: Sequence[FstabEntry]) -> str | None:
    """What makes entries impossible to mount as one tree; None when they are fine."""
    seen = set()
    for entry in entries:
        point = entry.mount_point
        if not point.startswith("/") or (point != "/" and {"", ".", ".."} & set(point[1:].split("/"))):
            return f"/etc/fstab mounts {entry.source} at {point}, which is no plain absolute path"
        if point in seen:
            return f"/etc/fstab uses the mount point {point} twice"
        seen.add(point)
    return None
