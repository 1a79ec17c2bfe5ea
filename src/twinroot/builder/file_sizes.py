"""Whether the files of a build can become as large as they will: filesystems, and limits of processes, have a say.

ext4 with its usual blocks holds files of almost 16 TiB, and a hole counts as much as data. What is found out here would
otherwise be found out when the operating system has been changed.
"""

from __future__ import annotations

import errno
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from twinroot.builder.request import CustomizeRequest
from twinroot.config.image.layout import Layout, partition_size_key, size_key
from twinroot.config.image.storage import Disk
from twinroot.config.problems import Finding, KeyPath
from twinroot.errors import ConfigError
from twinroot.output.files import followed
from twinroot.units import MIB, exact

_PATH: KeyPath = ("storage", "disks", 0)
# Written as the disk itself; of the others only what is no hole.
_AS_LARGE_AS_THE_DISK = ("raw", "vhd-fixed")


def check_file_sizes(request: CustomizeRequest, scratch: Path) -> None:
    """ConfigError naming the size in the configuration for which no file can be made."""
    layout = request.config.layout
    if layout is None:
        return
    finding = next(_findings(request, layout, scratch), None)
    if finding:
        raise ConfigError(request.config.placed([finding]))


def _findings(request: CustomizeRequest, layout: Layout, scratch: Path) -> Iterator[Finding]:
    disk: Disk = request.config.config.storage.disks[0]
    build = (scratch, request.build_dir, "build directory")
    # Each partition is made in a file of its own, and all but COSI are made from the whole disk.
    for partition in sorted(layout.partitions, key=lambda part: -part.size):
        yield from _finding(build, partition.size, "partition", partition_size_key(disk, partition, _PATH))
    if request.output_format == "cosi":
        return
    yield from _finding(build, layout.disk_size, "disk", size_key(disk, layout, _PATH))
    if request.output_format in _AS_LARGE_AS_THE_DISK:
        output = followed(request.output_file).parent
        output_place = (output, output, "output directory")
        yield from _finding(output_place, layout.disk_size, "disk", size_key(disk, layout, _PATH))


def _finding(place: tuple[Path, Path, str], size: int, what: str, key: KeyPath) -> Iterator[Finding]:
    directory, shown, name = place
    largest = largest_file(directory, size)
    if largest < size:
        message = f"no file as large as this {what} ({exact(size)}) can be made in the {name} {shown}"
        hint = f"files there have at most {exact(largest)}: make it smaller, or use a directory on another filesystem"
        yield Finding(key, message, hint)


def largest_file(directory: Path, wanted: int) -> int:
    """`wanted`, or how large a file without data can be at most in a directory, to the MiB."""
    with tempfile.TemporaryFile(dir=directory) as file:

        def is_refused(size: int) -> bool:
            try:
                os.ftruncate(file.fileno(), size)
            except OSError as error:
                if error.errno in (errno.EFBIG, errno.EINVAL):
                    return True
                raise
            return False

        if not is_refused(wanted):
            return wanted
        return MIB * (bisect_right(range(wanted // MIB), 0, key=lambda mib: is_refused(mib * MIB)) - 1)
