"""Text with styles for a terminal: spans of a line, characters for UTF-8 and for plain ASCII, aligned tables. Pure.

A `Line` is a list of spans; `paint` turns it into a string, with ANSI colours or without. Text from images is shown
only after `clean`: a partition label may hold anything, escape sequences included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# SGR parameters (ECMA-48). The hues tell partitions apart.
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
HUES = ("36", "32", "33", "35", "34")


@dataclass(frozen=True)
class Span:
    """A piece of a line. `style` has words of `bold dim red green yellow hue0 … hue4`."""

    text: str
    style: str = ""


Line = list[Span]


@dataclass(frozen=True)
class Characters:
    """The characters that drawings are made of: box corners and sides, meter, free space, ellipsis, separator."""

    corners: str
    tees: str
    horizontal: str
    vertical: str
    full: str
    rest: str
    free: str
    ellipsis: str
    dot: str
    ascii_only: bool


UTF8 = Characters("┌┐└┘", "┬┴", "─", "│", "━", "─", "░", "…", "·", False)
ASCII = Characters("++++", "++", "-", "|", "=", "-", ".", "~", "-", True)


def characters(encoding: str | None) -> Characters:
    """What an output of that encoding can show."""
    return UTF8 if (encoding or "").lower().replace("-", "").replace("_", "") == "utf8" else ASCII


def clean(text: str, chars: Characters) -> str:
    """Text that is safe to show: what does not print, or is not ASCII where only that can be shown, becomes `?`."""
    return "".join(c if c.isprintable() and (c.isascii() or not chars.ascii_only) else "?" for c in text)


def shorten(text: str, width: int, chars: Characters) -> str:
    """Text of at most `width` characters, ending in an ellipsis where something was left out."""
    if len(text) <= width:
        return text
    return text[: max(width - 1, 0)].rstrip() + chars.ellipsis if width > 0 else ""


def paint(line: Line, *, color: bool) -> str:
    """The line as a string, without blanks at its end."""
    while line and not line[-1].text.strip():
        line = line[:-1]
    if line:
        line = [*line[:-1], Span(line[-1].text.rstrip(), line[-1].style)]
    return "".join(_painted(span) if color else span.text for span in line)


def _painted(span: Span) -> str:
    codes = [HUES[int(word[3:])] if word.startswith("hue") else _CODES[word] for word in span.style.split()]
    return f"\x1b[{';'.join(codes)}m{span.text}\x1b[0m" if codes and span.text.strip() else span.text


@dataclass(frozen=True)
class Column:
    """A column of a table. Columns with a `least` width are shortened down to it when the table is too wide."""

    title: str
    right: bool = False
    least: int | None = None


def table(columns: Sequence[Column], rows: Sequence[Sequence[Span]], width: int, chars: Characters) -> list[Line]:
    """Aligned rows under a dim heading, two blanks between columns; columns without any text are left out."""
    kept = [i for i in range(len(columns)) if any(row[i].text for row in rows)]
    columns = [columns[i] for i in kept]
    rows = [[row[i] for i in kept] for row in rows]
    widths = [max(len(column.title), *(len(row[i].text) for row in rows)) for i, column in enumerate(columns)]
    _narrow(widths, columns, width - 2 * (len(columns) - 1))
    heading = [Span(column.title, "dim") for column in columns]
    return [_row(cells, columns, widths, chars) for cells in (heading, *rows)]


def _narrow(widths: list[int], columns: Sequence[Column], available: int) -> None:
    """Take from the widest column that may give, until the row fits or none can give any more."""
    while sum(widths) > available:
        giving = [i for i, c in enumerate(columns) if c.least is not None and widths[i] > c.least]
        if not giving:
            return
        widths[max(giving, key=lambda i: widths[i])] -= 1


def _row(cells: Sequence[Span], columns: Sequence[Column], widths: list[int], chars: Characters) -> Line:
    line: Line = []
    for index, (cell, column) in enumerate(zip(cells, columns, strict=True)):
        text = shorten(cell.text, widths[index], chars)
        padded = text.rjust(widths[index]) if column.right else text.ljust(widths[index])
        line += [Span(padded, cell.style), Span("  ")]
    return line[:-1]
