"""`twinroot verify`: a COSI file against every rule of its format and every hash in it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinroot.cli.arguments import add_global_flags
from twinroot.cli.frame import Show, print_json, run_command
from twinroot.cli.image_place import ImagePlace, image_place, opened_url
from twinroot.errors import FormatError
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.formats.cosi.check import Report
    from twinroot.formats.cosi.model import Finding


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `verify`."""
    parser.add_argument(
        "image", type=image_place, metavar="FILE", help="a COSI file, also by its URL (http, https, oci)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON object")
    add_global_flags(parser, top=False)


def run(arguments: argparse.Namespace) -> int:
    """Verify; exit code 0 only for a file without errors."""
    return run_command(arguments, "verification failed", lambda emit: _verify(arguments, emit))


def _verify(arguments: argparse.Namespace, emit: Emit) -> Show:
    from twinroot.output.verify import verify_file, verify_open

    image: ImagePlace = arguments.image
    if isinstance(image, Path):
        name, report, size = str(image), verify_file(image, emit), image.stat().st_size
    else:
        with opened_url(image) as cosi:
            name, report, size = cosi.name, verify_open(cosi, emit), cosi.length
    return lambda: _show(name, size, report, arguments)


def _show(name: str, size: int, report: Report, arguments: argparse.Namespace) -> None:
    from twinroot.cli.drawing import characters, paint
    from twinroot.cli.screen import wants_color
    from twinroot.cli.verify_report import report_lines

    if arguments.json:
        print_json(as_json(name, report))
    else:
        lines = report_lines(name, size, report, characters(sys.stdout.encoding))
        color = wants_color(arguments.log_color, sys.stdout)
        print("\n".join(paint(line, color=color) for line in lines))
    if not report.ok:
        sys.stdout.flush()
        count = len(report.errors)
        raise FormatError(f"{count} rule{'' if count == 1 else 's'} broken", where=name)


def as_json(name: str, report: Report) -> dict[str, Any]:
    """The report as a JSON object: `rule` is a rule's id, `where` a JSON path or a member of the archive."""
    return {
        "file": name,
        "valid": report.ok,
        "errors": [_finding(finding) for finding in report.errors],
        "warnings": [_finding(finding) for finding in report.warnings],
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {"rule": finding.rule, "where": finding.where, "message": finding.message}
