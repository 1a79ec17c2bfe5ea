"""Text for terminals: nothing dangerous comes through, tables fit, colours only when asked for."""

from __future__ import annotations

import pytest

from twinroot.cli.drawing import ASCII, UTF8, Characters, Column, Span, characters, clean, paint, shorten, table


@pytest.mark.parametrize(
    ("text", "chars", "shown"),
    [
        ("root-a", UTF8, "root-a"),
        ("é日", UTF8, "é日"),
        ("é", ASCII, "?"),
        ("\x1b[31mred", UTF8, "?[31mred"),
        ("a\nb\tc\x00", UTF8, "a?b?c?"),
        ("\u202eabc", UTF8, "?abc"),
    ],
)
def test_clean(text: str, chars: Characters, shown: str) -> None:
    assert clean(text, chars) == shown


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", UTF8), ("UTF8", UTF8), ("utf_8", UTF8), ("ascii", ASCII), ("iso8859-1", ASCII), (None, ASCII)],
)
def test_characters(encoding: str | None, expected: Characters) -> None:
    assert characters(encoding) is expected


@pytest.mark.parametrize(("width", "shown"), [(10, "abcdef"), (6, "abcdef"), (5, "abcd…"), (1, "…"), (0, ""), (-3, "")])
def test_shorten(width: int, shown: str) -> None:
    assert shorten("abcdef", width, UTF8) == shown


def test_paint() -> None:
    line = [Span("a", "bold hue0"), Span(" b "), Span("  ", "dim")]
    assert paint(line, color=False) == "a b"
    assert paint(line, color=True) == "\x1b[1;36ma\x1b[0m b"


COLUMNS = (Column("#", right=True), Column("name", least=5), Column("empty"), Column("size", right=True))
ROWS = [
    [Span("1"), Span("a long partition name"), Span(""), Span("4 GiB")],
    [Span("12"), Span("b"), Span(""), Span("")],
]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (80, " #  name                    size\n 1  a long partition name  4 GiB\n12  b"),
        (20, " #  name        size\n 1  a long p…  4 GiB\n12  b"),
        (1, " #  name    size\n 1  a lo…  4 GiB\n12  b"),
    ],
    ids=["wide", "narrow", "too narrow"],
)
def test_table(width: int, expected: str) -> None:
    assert "\n".join(paint(line, color=False) for line in table(COLUMNS, ROWS, width, UTF8)) == expected
