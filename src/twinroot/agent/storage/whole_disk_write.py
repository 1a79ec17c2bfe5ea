"""Writing an image onto a whole disk. Its partition table comes last: until then the firmware finds no system."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from twinroot.agent.storage.claims import claimed, hidden_from_udev
from twinroot.agent.storage.deploy import grow
from twinroot.agent.storage.disk_write import write_table
from twinroot.agent.storage.whole_disk import WholeDisk
from twinroot.agent.stream import Written, clear, write_image
from twinroot.errors import TwinrootError
from twinroot.formats.cosi.layout import Placed
from twinroot.formats.cosi.reader import CosiFile
from twinroot.tools.block_devices import (
    add_partition,
    announce,
    forget_partitions,
    settle,
    update_partitions,
    wipe_signatures,
)

log = logging.getLogger(__name__)

Advance = Callable[[int], None]


def needed_programs(plan: WholeDisk) -> list[str]:
    """What is called to carry out a plan."""
    return ["wipefs", "partx", *(["e2fsck", "resize2fs"] if plan.growing else [])]


def write_whole_disk(cosi: CosiFile, plan: WholeDisk, *, advance: Advance = lambda _done: None) -> Written:
    """Write everything; how many bytes of images were written, and how many were right already.

    `advance` hears how many bytes of all images are done. Raises BusyError for a disk in use, which stays as it is;
    FormatError for a damaged image, HostError, CommandError. After these the disk has no partition table.
    """
    device = Path(plan.device)
    # Of a disk without a table, udev has the kernel forget the partitions that are there only to grow.
    with hidden_from_udev(device):
        with claimed(device):
            pass
        forget_partitions(device)
        wipe_signatures(device)
        written = _write_contents(cosi, plan, advance)
        write_table(device, plan.table)
        with _only_warning():
            update_partitions(device)
    with _only_warning():
        announce(device)
        settle()
    return written


@contextmanager
def _only_warning() -> Iterator[None]:
    """What goes wrong once the disk is complete is no reason to write it anew."""
    try:
        yield
    except TwinrootError as error:
        log.warning("The disk is complete, but this system does not see its partitions yet: %s", error)


def _write_contents(cosi: CosiFile, plan: WholeDisk, advance: Advance) -> Written:
    device = Path(plan.device)
    try:
        with claimed(device):
            written = _write_images(cosi, plan, advance)
        for placed in plan.growing:
            grow(add_partition(device, placed.partition.number, placed.offset, placed.size))
    except BaseException:
        with suppress(TwinrootError):
            forget_partitions(device)
        raise
    return written


def _write_images(cosi: CosiFile, plan: WholeDisk, advance: Advance) -> Written:
    device = Path(plan.device)
    written = kept = 0
    for offset, length in plan.cleared:
        clear(device, offset, length)
    for placed in plan.images:
        done = _write(cosi, device, placed, partial(_add, advance, written + kept))
        written, kept = written + done.written, kept + done.kept
    return Written(written, kept)


def _write(cosi: CosiFile, device: Path, placed: Placed, advance: Advance) -> Written:
    return write_image(
        cosi, placed.image, device, start=placed.offset, size=placed.size, unread_zeros=True, advance=advance
    )


def _add(advance: Advance, before: int, done: int) -> None:
    advance(before + done)
