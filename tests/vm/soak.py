"""The long tests of servicing (`make soak`): forty power cuts in updates, thirty damaged images. Prints tables.

python -m tests.vm.soak [--cuts 40] [--late 8] [--flips 30] [--machines 2]

The cuts are dealt out to several machines that run at the same time; a row is printed as soon as it is known.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.vm.cuts import HEAD, cut_updates, late_parts, parts
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

from twinroot.scratch import locked_folder


def main() -> int:
    """Run everything; 0 when every machine was well each time."""
    parser = argparse.ArgumentParser(description="Power cuts and damaged images, many of them.")
    parser.add_argument("--cuts", type=int, default=40, help="power cuts, spread evenly over an update (default: 40)")
    parser.add_argument("--late", type=int, default=8, help="power cuts once all images are written (default: 8)")
    parser.add_argument("--flips", type=int, default=30, help="images with one byte changed (default: 30)")
    parser.add_argument("--machines", type=int, default=2, help="machines whose power is cut at once (default: 2)")
    arguments = parser.parse_args()
    with locked_folder("twinroot-soak-", Path("/var/tmp")) as place:
        builder = Builder(place / "images")
        builder.place.mkdir()
        images = Images(builder.image("1"), builder.image("2"))
        (place / "first").mkdir()
        first = first_start(images.first, place / "first")
        moments = [*parts(arguments.cuts), *late_parts(arguments.late)]
        machines = [first.copy(place / f"cuts-{number}") for number in range(min(arguments.machines, len(moments)))]
        bad = _cut_all(machines, images, moments) if machines else 0
        bad += _damage(first.copy(place / "damage"), images, arguments.flips) if arguments.flips else 0
    return 1 if bad else 0


def _cut_all(machines: Sequence[Serviced], images: Images, moments: Sequence[float]) -> int:
    """Cut the power at all moments; how many machines were not well."""
    print(HEAD, flush=True)
    dealt = [moments[number :: len(machines)] for number in range(len(machines))]
    with ThreadPoolExecutor(len(machines)) as pool:
        bad = sum(pool.map(_cut, machines, [images] * len(machines), dealt))
    print(
        f"{len(moments)} power cuts, {bad} machines that were not well; updates after the last ones succeeded",
        flush=True,
    )
    return bad


def _cut(machine: Serviced, images: Images, moments: Sequence[float]) -> int:
    bad = 0
    for cut in cut_updates(machine, images).cuts(moments):
        print(cut.row(), flush=True)
        bad += not cut.well
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
