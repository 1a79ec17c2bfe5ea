"""Updates during which the power fails, and what the machine is afterwards.

The moments are spread evenly over what an update writes to the disk, from its first byte to the commit after the
restart. The half that is written is emptied before, lest most of it is right already and nothing is left to be written
by halves. What starts after one cut is what the next one interrupts.
"""

from __future__ import annotations

import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.vm.mounted import mounted_root
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    Image,
    Images,
    Serviced,
    begin_and_await,
    host_configuration,
    serving,
    status,
    switch_off,
    version,
    write_file,
)

from twinroot.events import silent
from twinroot.formats.cosi.reader import open_cosi
from twinroot.output.bootable import bootable_disk
from twinroot.units import MIB
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

_UPDATE_COMMAND = "trident update"
_UPDATE = 900.0  # seconds
# Longer than a machine writes nothing between two parts of an update: to start again takes it less.
_QUIET = 120.0
_FILES = "find usr boot -xdev -type f ! -name 'grub*' -print0 | LC_ALL=C sort -z | xargs -0 md5sum | md5sum"
# What an update and the start after it write besides the images. Seen: 73 MiB, 8 of them once the image is staged.
_BESIDES = 72 * MIB
# What part of all is written once the image is staged.
_LATE = 0.025
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


@dataclass(frozen=True)
class CutUpdates:
    """A machine that is updated from one image to the other, again and again, and loses its power.

    `written` is how many bytes an update and its commit write, `digests` are those of the files of whole systems.
    """

    machine: Serviced
    images: Images
    written: int
    digests: frozenset[str]
    seed: int = 1

    def cuts(self, parts: Sequence[float]) -> Iterator[Cut]:
        """Cut the power behind these parts of updates, one after the other, and look at what starts each time.

        What starts is updated to the image that it is not. The last cut is followed by an update that succeeds.
        """
        for before, part in pairwise((None, *parts, None)):
            survivors = None if part is None else random.Random(f"{self.seed} {part}")
            with self.machine.switched_on(survivors) as running:
                if before is not None:
                    yield self._look(running.console, before)
                if part is None:
                    switch_off(running)
                else:
                    self._interrupt(running, part)
        self._succeed()

    def _interrupt(self, running: Machine, part: float) -> None:
        """Begin an update, and pull the plug when a part of it is written."""
        found = status(running.console)
        if found["servicingState"] == "provisioned":  # the other half is nobody's
            number = _HALVES["root-b" if found["abActiveVolume"] == "volume-a" else "root-a"]
            running.console.check(f"blkdiscard --force --zeroout /dev/vda{number} && sync", timeout=_UPDATE)
        with self._serving(running):
            start = self._log().stat().st_size
            running.console.send(f"{_UPDATE_COMMAND} -v info\n")
            self._wait_until(running, start + int(part * self.written))
            running.power_cut()

    def _succeed(self) -> None:
        """An update without a cut."""
        with self.machine.switched_on() as running:
            with self._serving(running) as other:
                begin_and_await(running, _UPDATE_COMMAND)
            found = self._look(running.console, 1.0)
            assert found.well and found.version == other.version, found.row()
            switch_off(running)

    def _look(self, console: Console, part: float) -> Cut:
        """What started after a cut."""
        console.run("systemctl is-system-running --wait", timeout=300)
        state = str(status(console)["servicingState"])
        return Cut(part, version(console), state, _digest(console) in self.digests)

    def _serving(self, running: Machine) -> _Serving:
        here = version(running.console)
        other = self.images.second if here == self.images.first.version else self.images.first
        return _Serving(running.console, other)

    def _log(self) -> Path:
        return self.machine.place / f"writes-{self.machine.starts}.log"

    def _wait_until(self, running: Machine, size: int) -> None:
        """Until the machine has written so much. What it writes varies a little: the commit is the end in any case."""
        wait_until(self._log(), size, lambda: bool(_COMMITTED.search(running.console.text.rpartition(_STARTED)[2])))


def wait_until(
    log: Path, size: int, over: Callable[[], bool], *, longest: float = _UPDATE, quiet: float = _QUIET
) -> None:
    """Until a log of writes has a size, all is `over`, or it did not grow for `quiet` seconds: then no more comes.

    Where an update writes a little less than was estimated, a machine that is done is not waited for in vain.
    """
    begin = grown = time.monotonic()
    last = -1
    while (found := log.stat().st_size) < size and not over():
        now = time.monotonic()
        if found != last:
            last, grown = found, now
        if now - begin > longest or now - grown > quiet:
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


def cut_updates(machine: Serviced, images: Images) -> CutUpdates:
    """What is to be known of two images before a machine is updated from one to the other, found out here."""
    both = (images.first, images.second)
    return CutUpdates(machine, images, max(map(_written, both)), frozenset(map(_digest_of, both)))


def _written(image: Image) -> int:
    """About the bytes that an update to an image and the commit write."""
    with open_cosi(image.path) as cosi:
        used = [each.image for each in cosi.metadata.images if each.mount_point in ("/", "/boot/efi")]
        pieces = (piece for each in used for piece in cosi.decompress(each))
        return _BESIDES + sum(piece.length for piece in pieces if piece.data is not None)


def _digest_of(image: Image) -> str:
    with tempfile.TemporaryDirectory(dir=image.path.parent) as place:
        disk = bootable_disk(image.path, Path(place), silent).path
        with mounted_root(disk, Path(place)) as root:
            done = subprocess.run(["sh", "-c", _FILES], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.split()[0]


def _digest(console: Console) -> str:
    return console.check(f"cd / && {_FILES}", timeout=_UPDATE).split()[0]


def parts(count: int) -> Sequence[float]:
    """Evenly spread moments of an update."""
    return [(number + 1) / (count + 1) for number in range(count)]


def late_parts(count: int) -> Sequence[float]:
    """Evenly spread moments of its end, when little is written: boot files and entries, the next start, the commit."""
    return [1 - _LATE * (count - number) / (count + 1) for number in range(count)]
