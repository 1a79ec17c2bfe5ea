"""What a power cut leaves of a disk: the writes that QEMU's driver `blklogwrites` wrote down, replayed.

Killing QEMU is no power cut: what the guest wrote without flushing is in the files all the same. So the guest writes to
a throw-away overlay, its writes and flushes are logged in their order, and afterwards the disk gets those that a disk
with a volatile cache must have: all up to the last flush. Writes after it may each be there or not; `survivors` draws.

The log (docs/system of dm-log-writes, drivers/md/dm-log-writes.c): a superblock, then for each request a sector with
where, how many sectors and what kind, then its data. Numbers are little-endian, places in sectors of the log.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = 0x6A736677736872
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _FUA, _DISCARD = 1, 2, 4
_SECTOR = 512  # what QEMU takes unless it is told
_STEP = 4 << 20


@dataclass(frozen=True)
class Request:
    """A request: bytes from `start`, `length` long. `data` is where in the log its content is, None for a discard."""

    start: int
    length: int
    data: int | None
    flush: bool
    stable: bool


def read_log(log: Path) -> list[Request]:
    """All requests in their order. Those that the superblock does not count yet are read as far as they are there."""
    with log.open("rb") as stream:
        return list(_requests(stream.fileno(), log.stat().st_size))


def _requests(file: int, size: int) -> Iterator[Request]:
    head = os.pread(file, _SUPER.size, 0)
    if len(head) < _SUPER.size:
        return
    magic, _version, _count, sector = _SUPER.unpack(head)
    if magic == 0:
        sector = _SECTOR  # the superblock comes with the first flush
    else:
        assert magic == _MAGIC, "this is no log of writes"
    place = sector
    while place + sector <= size:
        start, sectors, flags, data_length = _ENTRY.unpack(os.pread(file, _ENTRY.size, place))
        if (start, sectors, flags, data_length) == (0, 0, 0, 0):
            return  # reserved, but not written any more
        length, discard = sectors * sector, bool(flags & _DISCARD)
        data = place + sector
        yield Request(start * sector, length, None if discard else data, bool(flags & _FLUSH), bool(flags & _FUA))
        place = data if discard else data + length


def last_flush(requests: list[Request]) -> int:
    """How many requests from the first are on the disk for certain."""
    return max((number for number, request in enumerate(requests, 1) if request.flush), default=0)


def replay(log: Path, disk: Path, survivors: random.Random | None = None) -> None:
    """Bring a raw disk to what it must hold after the power was cut; `survivors` draws what else got there."""
    requests = read_log(log)
    certain = last_flush(requests)
    with log.open("rb") as source, disk.open("r+b") as target:
        for number, request in enumerate(requests):
            if number < certain or request.stable or (survivors and survivors.random() < 0.5):
                _carry_out(request, source.fileno(), target.fileno())
        os.fsync(target.fileno())


def _carry_out(request: Request, log: int, disk: int) -> None:
    if request.length == 0:
        return
    if request.data is None:
        _discard(request, disk)
        return
    done = 0
    while done < request.length:
        part = os.pread(log, min(_STEP, request.length - done), request.data + done)
        if not part:
            return  # The power went while this was being written: nobody was told that it is there.
        done += os.pwrite(disk, part, request.start + done)


def _discard(request: Request, disk: int) -> None:
    # The overlay that the guest sees shows zeros where it discarded.
    where = ["--offset", str(request.start), "--length", str(request.length)]
    subprocess.run(["fallocate", "--punch-hole", *where, f"/dev/fd/{disk}"], check=True, pass_fds=(disk,))
