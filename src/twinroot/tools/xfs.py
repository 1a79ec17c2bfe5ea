"""xfsprogs: making and checking xfs filesystems in files."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from twinroot.tools.run import run

log = logging.getLogger(__name__)

# Features by the option of mkfs.xfs that they belong to. Each is set or cleared, so that no default of the host counts.
_FLAGS = {
    "-m": ("crc", "finobt", "rmapbt", "reflink", "inobtcount", "bigtime", "autofsck", "metadir"),
    "-i": ("sparse", "nrext64", "exchange"),
    "-n": ("parent",),
}


def make(path: Path, size: int, *, features: Sequence[str], uuid: str, label: str = "") -> None:
    """Make an empty xfs filesystem of `size` bytes in a sparse file. CommandError when it is too small."""
    with path.open("wb") as file:
        file.truncate(size)
    usage = run(["mkfs.xfs"], ok=(0, 1, 2)).stderr
    name = ["-L", label] if label else []
    options = feature_options(features, usage)
    run(["mkfs.xfs", "-q", "-f", "-K", "-b", "size=4096", *options, "-m", f"uuid={uuid}", *name, path])


def feature_options(features: Sequence[str], usage: str) -> list[str]:
    """The options that set the wanted features and clear all others, as far as this mkfs.xfs has them in its usage."""
    options = []
    for option, flags in _FLAGS.items():
        known = [flag for flag in flags if re.search(rf"\b{flag}=0\|1", usage)]
        if known:
            options += [option, ",".join(f"{flag}={int(flag in features)}" for flag in known)]
        for flag in set(flags) - set(known) & set(features):
            log.info("This host's mkfs.xfs does not know %s: made without", flag)
    return options


def check(path: Path) -> None:
    """Check without repairing; CommandError on any finding."""
    run(["xfs_repair", "-n", path])
