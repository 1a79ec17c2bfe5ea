"""The long tests of servicing (`make soak`): forty power cuts in updates, thirty damaged images. Prints tables.

python -m tests.vm.soak [--cuts 40] [--flips 30]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.vm.cuts import HEAD, CutUpdates, parts
from tests.vm.damage import flips, others, refused
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    Builder,
    Images,
    Serviced,
    first_start,
    host_configuration,
    serving,
    switch_off,
    write_file,
)


def main() -> int:
    """Run everything; 0 when every machine was well each time."""
    parser = argparse.ArgumentParser(description="Power cuts and damaged images, many of them.")
    parser.add_argument("--cuts", type=int, default=40, help="power cuts, spread evenly over an update (default: 40)")
    parser.add_argument("--flips", type=int, default=30, help="images with one byte changed (default: 30)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twinroot-soak-", dir="/var/tmp") as directory:
        place = Path(directory)
        builder = Builder(place / "images")
        builder.place.mkdir()
        images = Images(builder.image("1"), builder.image("2"))
        (place / "first").mkdir()
        first = first_start(images.first, place / "first")
        bad = _cut(CutUpdates(first.copy(place / "cuts"), images), arguments.cuts) if arguments.cuts else 0
        bad += _damage(first.copy(place / "damage"), images, arguments.flips) if arguments.flips else 0
    return 1 if bad else 0


def _cut(updates: CutUpdates, count: int) -> int:
    print(HEAD, flush=True)
    bad = 0
    updates.measure()
    for cut in updates.cuts(parts(count)):
        print(cut.row(), flush=True)
        bad += not cut.well
    print(f"{count} power cuts, {bad} machines that were not well; the update after the last one succeeded", flush=True)
    return bad


def _damage(machine: Serviced, images: Images, count: int) -> int:
    bad = 0
    with machine.switched_on() as running, serving(images.second) as server:
        write_file(running.console, HOST_CONFIGURATION, host_configuration(server, images.second))
        for damage in (*flips(images.second, count), *others()):
            wrong = refused(running.console, server, damage)
            print(f"{damage.name:<24}  {wrong or 'refused, unharmed'}", flush=True)
            bad += wrong is not None
        switch_off(running)
    print(f"{count} flipped bytes and 3 other faults, {bad} that did harm", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
