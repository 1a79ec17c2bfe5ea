"""A disk drawn to scale as one bar of boxes, partitions and free space in the order of the disk. Pure.

    ┌───────────┬──────────────────────────┬───────────┬░░░░░░┐
    │ 1 esp     │ 2 root-a                 │ 3 data    │ free │
    ...

Every box is wide enough to be seen, so small partitions come out larger than they are; the others share what is left
in proportion to their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinroot.cli.drawing import Characters, Line, Span, shorten

# A box that is not to scale is as wide as its text, but no wider than this.
_SMALL = 14
_LEAST = 3


@dataclass(frozen=True)
class Segment:
    """One box. `rows` are its lines of text; `used` is the fraction in use, None for unknown; `hue` is its colour."""

    size: int
    rows: tuple[str, ...]
    hue: int = 0
    used: float | None = None
    free: bool = False


def draw(segments: Sequence[Segment], width: int, chars: Characters) -> list[Line]:
    """The bar as lines of exactly `width` characters; nothing when there is no room for that many boxes."""
    if not segments or len(segments) * (_LEAST + 1) + 1 > width:
        return []
    widths = share(segments, width - len(segments) - 1)
    rows = max(len(segment.rows) for segment in segments)
    lines = [_border(widths, chars.corners[:2], chars.tees[0], chars)]
    lines += [_text_row(segments, widths, row, chars) for row in range(rows)]
    if any(segment.used is not None for segment in segments):
        lines.append(_meter_row(segments, widths, chars))
    lines.append(_border(widths, chars.corners[2:], chars.tees[1], chars))
    return lines


def share(segments: Sequence[Segment], room: int) -> list[int]:
    """Distribute `room` characters: each box its least width or its share by size, whichever is more."""
    cap = max(_LEAST, min(_SMALL, room // len(segments)))
    least = [max(_LEAST, min(cap, _natural(segment))) for segment in segments]
    scaled = set(range(len(segments)))
    widths = list(least)
    while scaled:
        left = room - sum(least[i] for i in range(len(segments)) if i not in scaled)
        total = sum(segments[i].size for i in scaled) or 1
        small = {i for i in scaled if left * segments[i].size // total < least[i]}
        if not small:
            _distribute(widths, segments, sorted(scaled), left)
            return widths
        scaled -= small
    # All are at their least width: the largest takes what is left over.
    largest = max(range(len(segments)), key=lambda i: segments[i].size)
    widths[largest] += room - sum(widths)
    return widths


def _natural(segment: Segment) -> int:
    return (4 if segment.free else 2) + max(map(len, segment.rows), default=0)


def _distribute(widths: list[int], segments: Sequence[Segment], chosen: list[int], room: int) -> None:
    """Widths in proportion, so that equal sizes look equal; rounding leaves the rest to free space or the last box."""
    total = sum(segments[i].size for i in chosen) or 1
    for i in chosen:
        widths[i] = room * segments[i].size // total
    takes = next((i for i, segment in enumerate(segments) if segment.free), chosen[-1])
    widths[takes] += room - sum(widths[i] for i in chosen)


def _border(widths: list[int], corners: str, tee: str, chars: Characters) -> Line:
    inner = tee.join(chars.horizontal * width for width in widths)
    return [Span(corners[0] + inner + corners[1], "dim")]


def _text_row(segments: Sequence[Segment], widths: list[int], row: int, chars: Characters) -> Line:
    line: Line = [Span(chars.vertical, "dim")]
    for segment, width in zip(segments, widths, strict=True):
        text = segment.rows[row] if row < len(segment.rows) else ""
        if segment.free:
            shown = f" {shorten(text, width - 4, chars)} " if text and width > 6 else ""
            line.append(Span((chars.free + shown).ljust(width, chars.free), "dim"))
        else:
            style = f"bold hue{segment.hue}" if row == 0 else ""
            line.append(Span(f" {shorten(text, width - 1, chars)}".ljust(width), style))
        line.append(Span(chars.vertical, "dim"))
    return line


def _meter_row(segments: Sequence[Segment], widths: list[int], chars: Characters) -> Line:
    line: Line = [Span(chars.vertical, "dim")]
    for segment, width in zip(segments, widths, strict=True):
        if segment.free:
            line.append(Span(chars.free * width, "dim"))
        elif segment.used is None:
            line.append(Span(" " * width))
        else:
            room = max(width - 2, 1)
            full = min(room, max(1 if segment.used else 0, round(room * segment.used)))
            line += [Span(" "), Span(chars.full * full, f"hue{segment.hue}")]
            line += [Span(chars.rest * (room - full), "dim"), Span(" " * (width - 1 - room))]
        line.append(Span(chars.vertical, "dim"))
    return line
