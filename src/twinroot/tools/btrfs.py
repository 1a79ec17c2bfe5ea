"""btrfs-progs: making and checking btrfs filesystems in files, subvolumes and quotas of mounted ones."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import CommandError, HostError
from twinroot.tools.run import run

log = logging.getLogger(__name__)

# What mkfs.btrfs says, and what mount does: up to Linux 6.6 the kernel takes two filesystems of one UUID for one.
_NOT_UNIQUE = "non-unique UUID"
_TWIN = (_NOT_UNIQUE, "File exists")
_PAUSES = (1.0, 2.0, 3.0)  # seconds
_FEATURE = re.compile(r"^([a-z0-9-]+)\s+- .*$", re.MULTILINE)


def make(path: Path, size: int, *, features: Sequence[str], uuid: str, label: str = "") -> None:
    """Make an empty btrfs filesystem of `size` bytes in a sparse file. CommandError when it is too small."""
    with path.open("wb") as file:
        file.truncate(size)
    # Up to 6.2 some are named by another option.
    listings = {option: run(["mkfs.btrfs", option, "list-all"], ok=(0, 1)) for option in ("-O", "-R")}
    options = feature_options(features, {option: found.stdout + found.stderr for option, found in listings.items()})
    name = ["-L", label] if label else []
    with naming_twins(path):
        _run_patiently(["mkfs.btrfs", "-q", "-f", "-K", "--csum", "crc32c", *options, "-U", uuid, *name, path])


def _run_patiently(command: Sequence[str | Path]) -> None:
    """Run mkfs.btrfs, which looks for its UUID on all devices of the host, and remembers for seconds what was there.

    An earlier try of ours may be among that, on a loop device that goes away only now.
    """
    for pause in _PAUSES:
        try:
            run(command)
        except CommandError as error:
            if _NOT_UNIQUE not in error.output:
                raise
            time.sleep(pause)
        else:
            return
    run(command)


@contextmanager
def naming_twins(path: Path) -> Iterator[None]:
    """Turn what is said of a second filesystem of the same UUID into a HostError."""
    try:
        yield
    except CommandError as error:
        if not any(text in error.output for text in _TWIN):
            raise
        raise HostError(
            "a btrfs filesystem with the same UUID is on this host already, perhaps by another build",
            where=str(path),
            hint="let one build of the same base, or of the same inputs, end before the next begins",
        ) from error


def feature_options(features: Sequence[str], listings: dict[str, str]) -> list[str]:
    """The options that set the wanted features and clear the host's other defaults, from what `list-all` prints."""
    options, named = [], set()
    for option, text in listings.items():
        words = []
        for found in _FEATURE.finditer(text):
            feature = found[1]
            if feature in named:
                continue
            if feature in features:
                words.append(feature)
            elif "default=" in found[0]:
                words.append(f"^{feature}")
            named.add(feature)
        if words:
            options += [option, ",".join(words)]
    for feature in set(features) - named:
        log.info("This host's mkfs.btrfs does not know %s: made without", feature)
    return options


def create_subvolume(path: Path) -> None:
    """Make a subvolume of a mounted filesystem."""
    run(["btrfs", "subvolume", "create", path])


def list_subvolumes(mount_point: Path) -> tuple[str, ...]:
    """The paths of all subvolumes from the top of a filesystem, which is mounted from its top."""
    rows = run(["btrfs", "subvolume", "list", mount_point]).stdout.splitlines()
    # "ID 256 gen 7 top level 5 path var/@home"
    return tuple(sorted(row.split(" path ", 1)[1] for row in rows if " path " in row))


def default_subvolume(mount_point: Path) -> str:
    """The path of the subvolume that is mounted where none is named; "" for the top."""
    # "ID 5 (FS_TREE)", or a row as those of the list
    row = run(["btrfs", "subvolume", "get-default", mount_point]).stdout.strip()
    return row.split(" path ", 1)[1] if " path " in row else ""


def enable_quota(mount_point: Path) -> None:
    """Start accounting on a mounted filesystem."""
    run(["btrfs", "quota", "enable", mount_point])


def limit(subvolume: Path, size: int, *, exclusive: bool) -> None:
    """Limit what a subvolume refers to, or what it shares with no other, in bytes."""
    run(["btrfs", "qgroup", "limit", *(["-e"] if exclusive else []), str(size), subvolume])


def check(path: Path) -> None:
    """Check without repairing; CommandError on any finding."""
    run(["btrfs", "check", "--readonly", path])
