"""Updates during which the power fails, and what the machine is afterwards.

The moments are spread evenly over what an update writes to the disk, from its first byte to the commit after the
restart; a run without a cut says how much that is. The half that is written is emptied before, lest most of it is right
already and nothing is left to be written by halves.
"""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm.servicing import (
    HOST_CONFIGURATION,
    Image,
    Images,
    Serviced,
    await_start,
    host_configuration,
    serving,
    status,
    switch_off,
    version,
    write_file,
)

from twinroot.formats import gpt
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

_UPDATE = 1800.0  # seconds
_FILES = "cd / && find usr boot -xdev -type f ! -name 'grub*' -print0 | sort -z | xargs -0 sha256sum | sha256sum"
_STARTED = "BdsDxe: starting Boot"
_COMMITTED = re.compile(r"(Finished|Failed)[^\n]*(trident\.service|Commit the OS)")
_HALVES = {"root-a": 2, "root-b": 3}  # their numbers in the example's partition table
STATES = ("provisioned", "ab-update-staged")


@dataclass(frozen=True)
class Cut:
    """What a cut left: `done` of the update, the system that started, its state, whether all of its files are right."""

    done: float
    version: str
    state: str
    whole: bool

    @property
    def well(self) -> bool:
        """Whether the machine is one that can be updated again."""
        return self.whole and self.state in STATES

    def row(self) -> str:
        """A line of a table."""
        verdict = "well" if self.well else "BROKEN"
        return f"{self.done:6.1%}  {self.version:>7}  {self.state:<20}  {'yes' if self.whole else 'NO':<5}  {verdict}"


HEAD = "   cut  started  state                 whole  verdict"


@dataclass
class CutUpdates:
    """A machine that is updated from one image to the other, again and again, and loses its power."""

    machine: Serviced
    images: Images
    seed: int = 1
    written: int = 0
    """Bytes that an update and its commit write."""
    digests: frozenset[str] = frozenset()
    """Of the files of whole systems."""
    idle: str | None = "root-b"
    """The half that holds nothing that anybody needs, None when there is none."""

    def measure(self) -> None:
        """An update without a cut, to see what it writes; the machine is in the other half then."""
        with self.machine.switched_on() as running:
            here = _digest(running.console)
            start = self._log().stat().st_size
            with self._serving(running) as other:
                self._begin(running)
                await_start(running)
                running.console.run("systemctl is-system-running --wait", timeout=300)
                assert version(running.console) == other.version
            self.written = self._log().stat().st_size - start
            self.digests = self.digests | {here, _digest(running.console)}
            self._look(running.console)
            switch_off(running)

    def cut(self, part: float) -> Cut:
        """Update to the image that does not run, cut the power after a part of it, and look at what starts."""
        if self.idle:
            _empty(self.machine.disk, _HALVES[self.idle])
        with self.machine.switched_on(random.Random(f"{self.seed} {part}")) as running, self._serving(running):
            start = self._log().stat().st_size
            self._begin(running)
            self._wait_until(running, start + int(part * self.written))
            running.power_cut()
        with self.machine.switched_on() as running:
            running.console.run("systemctl is-system-running --wait", timeout=300)
            state = self._look(running.console)
            whole = _digest(running.console) in self.digests
            left = Cut(part, version(running.console), state, whole)
            switch_off(running)
        return left

    def _look(self, console: Console) -> str:
        """The state of the machine, by which one half is idle or none."""
        found = status(console)
        other = "root-b" if found["abActiveVolume"] == "volume-a" else "root-a"
        self.idle = other if found["servicingState"] == "provisioned" else None
        return str(found["servicingState"])

    def _begin(self, running: Machine) -> None:
        running.console.send("trident update -v info\n")

    def _serving(self, running: Machine) -> _Serving:
        here = version(running.console)
        other = self.images.second if here == self.images.first.version else self.images.first
        return _Serving(running.console, other)

    def _log(self) -> Path:
        return self.machine.place / f"writes-{self.machine.starts}.log"

    def _wait_until(self, running: Machine, size: int) -> None:
        """Until the machine has written so much. What it writes varies a little: the commit is the end in any case."""
        deadline = time.monotonic() + _UPDATE
        while self._log().stat().st_size < size and time.monotonic() < deadline:
            if _COMMITTED.search(running.console.text.rpartition(_STARTED)[2]):
                return
            time.sleep(0.05)


class _Serving:
    """The other image, on a web server, with a configuration in the guest that asks for it."""

    def __init__(self, console: Console, image: Image) -> None:
        self._console, self._image = console, image
        self._context = serving(image)

    def __enter__(self) -> Image:
        server = self._context.__enter__()
        write_file(self._console, HOST_CONFIGURATION, host_configuration(server, self._image))
        return self._image

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)


def _empty(disk: Path, number: int) -> None:
    """Make a partition of a disk image all zeros."""
    with disk.open("rb") as stream:
        table = gpt.read_table(stream, disk.stat().st_size)
    found = table.partition(number)
    offset = found.first_lba * table.sector_size
    length = (found.last_lba + 1) * table.sector_size - offset
    command = ["fallocate", "--punch-hole", "--offset", str(offset), "--length", str(length), str(disk)]
    subprocess.run(command, check=True)


def _digest(console: Console) -> str:
    return console.check(_FILES, timeout=_UPDATE).split()[0]


def parts(count: int) -> Sequence[float]:
    """Evenly spread moments of an update."""
    return [(number + 1) / (count + 1) for number in range(count)]


def cuts(updates: CutUpdates, count: int) -> Iterator[Cut]:
    """Cut the power at so many moments, one update after the other."""
    updates.measure()
    for part in parts(count):
        yield updates.cut(part)
