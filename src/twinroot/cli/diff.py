"""`twinroot diff`: in what two images differ, for people on a screen and for programs as JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.cli.arguments import add_global_flags
from twinroot.cli.frame import Show, print_json, run_command
from twinroot.cli.screen import screen_width, wants_color
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.output.difference import ImageDifference

SAME, DIFFERENT, TROUBLE = 0, 1, 2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `diff`."""
    parser.add_argument("before", type=Path, metavar="A", help="a COSI file, or a raw, qcow2, vhd, vhdx disk image")
    parser.add_argument("after", type=Path, metavar="B", help="another, of the same or another format")
    parser.add_argument("--json", action="store_true", help="print the differences as one JSON object")
    parser.add_argument("--times", action="store_true", help="modification times of files count too")
    parser.add_argument("--all", action="store_true", help="show every difference, however many there are")
    add_global_flags(parser, top=False)


def run(arguments: argparse.Namespace) -> int:
    """Compare; exit code 0 for equal images, 1 for different ones, 2 when they could not be compared."""
    verdict: list[int] = []
    code = run_command(arguments, "the images cannot be compared", lambda emit: _diff(arguments, emit, verdict))
    return TROUBLE if code else verdict[0]


def _diff(arguments: argparse.Namespace, emit: Emit, verdict: list[int]) -> Show:
    from twinroot.output.compare import MODIFIED, compare_images
    from twinroot.output.scratch import large_scratch

    with large_scratch() as scratch:
        times = MODIFIED if arguments.times else ()
        found = compare_images(arguments.before, arguments.after, scratch, emit, times=times)
    verdict.append(SAME if found.equal else DIFFERENT)
    return lambda: show(found, arguments, limit=None if arguments.all else LIMIT)


# Lines of one list; with more, the rest is counted.
LIMIT = 60


def show(found: ImageDifference, arguments: argparse.Namespace, *, limit: int | None) -> None:
    """Print the differences as `--json` and `--log-color` ask."""
    from twinroot.cli.diff_report import report
    from twinroot.cli.drawing import characters, paint
    from twinroot.output.difference import as_json

    if arguments.json:
        print_json(as_json(found))
        return
    color = wants_color(arguments.log_color, sys.stdout)
    lines = report(found, screen_width(), characters(sys.stdout.encoding), limit=limit)
    print("\n".join(paint(line, color=color) for line in lines))
