"""Writing an image onto a whole disk. Its partition table comes last: until then the firmware finds no system."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from twinroot.agent.storage.deploy import grow
from twinroot.agent.storage.disk_write import claimed, write_table
from twinroot.agent.storage.whole_disk import WholeDisk
from twinroot.agent.stream import Written, clear, write_image
from twinroot.formats.cosi.layout import Placed
from twinroot.formats.cosi.reader import CosiFile
from twinroot.tools.block_devices import add_partition, forget_partitions, tell_kernel, wipe_signatures

Advance = Callable[[int], None]


def needed_programs(plan: WholeDisk) -> list[str]:
    """What is called to carry out a plan."""
    return ["wipefs", "partx", *(["addpart", "e2fsck", "resize2fs"] if plan.growing else [])]


def write_whole_disk(cosi: CosiFile, plan: WholeDisk, *, advance: Advance = lambda _done: None) -> Written:
    """Write everything; how many bytes of images were written, and how many were right already.

    `advance` hears how many bytes of all images are done. Raises FormatError for a damaged image, BusyError for a disk
    in use, HostError, CommandError. After any error the disk has no partition table.
    """
    device = Path(plan.device)
    with claimed(device):
        pass  # What is in use is not even looked at by the programs below.
    wipe_signatures(device)
    forget_partitions(device)
    with claimed(device):
        written = _write_images(cosi, plan, advance)
    for placed in plan.growing:
        grow(add_partition(device, placed.partition.number, placed.offset, placed.size))
    write_table(device, plan.table)
    tell_kernel(device)
    return written


def _write_images(cosi: CosiFile, plan: WholeDisk, advance: Advance) -> Written:
    device = Path(plan.device)
    written = kept = 0
    for offset, length in plan.tails:
        clear(device, offset, length)
    for placed in plan.images:
        done = _write(cosi, device, placed, partial(_add, advance, written + kept))
        written, kept = written + done.written, kept + done.kept
    return Written(written, kept)


def _write(cosi: CosiFile, device: Path, placed: Placed, advance: Advance) -> Written:
    return write_image(cosi, placed.image, device, start=placed.offset, size=placed.size, advance=advance)


def _add(advance: Advance, before: int, done: int) -> None:
    advance(before + done)
