"""`twinroot inspect`: what is in a COSI file or a disk image, for people on a screen and for programs as JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.cli.arguments import add_global_flags
from twinroot.cli.frame import Show, print_json, run_command
from twinroot.cli.image_place import ImagePlace, image_place, opened_url
from twinroot.cli.screen import screen_width, wants_color
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.output.inspection import Inspection


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `inspect`."""
    parser.add_argument(
        "image",
        type=image_place,
        metavar="FILE",
        help="a COSI file, also by its URL (http, https, oci), or a raw, qcow2, vhd, vhdx disk image",
    )
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--packages", action="store_true", help="also list the installed packages")
    add_global_flags(parser, top=False)


def run(arguments: argparse.Namespace) -> int:
    """Inspect; the exit code."""
    return run_command(arguments, "the image cannot be inspected", lambda emit: _inspect(arguments, emit))


def _inspect(arguments: argparse.Namespace, emit: Emit) -> Show:
    from twinroot.output.inspect import inspect_image
    from twinroot.output.inspect_cosi import cosi_inspection

    image: ImagePlace = arguments.image
    if isinstance(image, Path):
        found = inspect_image(image, emit)
    else:
        with opened_url(image) as cosi:
            found = cosi_inspection(cosi, cosi.length, allocated=0)
    return lambda: _show(found, arguments)


def _show(found: Inspection, arguments: argparse.Namespace) -> None:
    from twinroot.cli.drawing import characters, paint
    from twinroot.cli.inspect_report import report
    from twinroot.output.inspection import as_json

    if arguments.json:
        print_json(as_json(found))
        return
    lines = report(found, screen_width(), characters(sys.stdout.encoding), packages=arguments.packages)
    color = wants_color(arguments.log_color, sys.stdout)
    print("\n".join(paint(line, color=color) for line in lines))
