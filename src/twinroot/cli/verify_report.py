"""The screen of `twinroot verify`: what was checked and what was found. Pure."""

from __future__ import annotations

from twinroot.cli.drawing import Characters, Line, Span, clean
from twinroot.formats.cosi.check import Report
from twinroot.formats.cosi.model import Finding
from twinroot.units import human


def report_lines(name: str, size: int, report: Report, chars: Characters) -> list[Line]:
    """All the lines: what was checked, each finding with the id of its rule, and the verdict. `size` in bytes."""
    lines: list[Line] = [[Span(clean(name, chars), "bold"), Span(f" ({human(size)})")]]
    lines += [[Span("checked  ", "dim"), Span(text)] for text in _checked(report)]
    lines += [_finding("error", "bold red", finding, chars) for finding in report.errors]
    lines += [_finding("warning", "bold yellow", finding, chars) for finding in report.warnings]
    lines.append(_verdict(report))
    return lines


def _checked(report: Report) -> list[str]:
    metadata = report.metadata
    if metadata is None:
        return ["the archive; its metadata could not be read, so nothing else was"]
    version = f"{metadata.version[0]}.{metadata.version[1]}"
    images = metadata.image_files()
    whole = [image for path, image in images.items() if path in report.whole]
    unpacked = sum(image.uncompressed_size for image in whole)
    count = f"{len(images)} images" if len(whole) == len(images) else f"{len(whole)} of {len(images)} images"
    found = [
        "archive: headers, order of members, padding, end",
        f"metadata: every rule of COSI {version}, strictly",
        f"{count}: size, SHA-384, zstd stream and length, {human(unpacked)} in all",
    ]
    if len(whole) < len(images):
        found[-1] += "; the others are not in the file, or not whole"
    if report.table:
        found.append("partition table: checksums, and that it fits the images")
    return found


def _finding(kind: str, style: str, finding: Finding, chars: Characters) -> Line:
    text = f"{finding.where}: {finding.message}"
    return [Span(kind.ljust(9), style), Span(clean(text, chars)), Span(f"  [{finding.rule}]", "dim")]


def _verdict(report: Report) -> Line:
    if not report.ok:
        return [Span("NOT VALID", "bold red"), Span(f": {_count(len(report.errors), 'error')}")]
    warnings = f", {_count(len(report.warnings), 'warning')}" if report.warnings else ""
    return [Span("valid", "bold green"), Span(warnings)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
