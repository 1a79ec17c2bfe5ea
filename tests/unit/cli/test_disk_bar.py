"""The bar of `inspect`: widths that are to scale, and golden drawings."""

from __future__ import annotations

import pytest

from twinroot.cli.disk_bar import Segment, draw, share
from twinroot.cli.drawing import ASCII, UTF8, Characters, paint
from twinroot.units import GIB, MIB

A_B = (
    Segment(8 * MIB, ("1 esp", "/boot/efi", "8 MiB"), 0, 0.5),
    Segment(4 * GIB, ("2 root-a", "/", "4 GiB"), 1, 0.25),
    Segment(4 * GIB, ("3 root-b", "empty", "4 GiB"), 2),
    Segment(2 * GIB, ("free", "2 GiB"), free=True),
)

GOLDEN_UTF8 = """\
┌───────────┬──────────────────┬──────────────────┬──────────┐
│ 1 esp     │ 2 root-a         │ 3 root-b         │░ free ░░░│
│ /boot/efi │ /                │ empty            │░ 2 GiB ░░│
│ 8 MiB     │ 4 GiB            │ 4 GiB            │░░░░░░░░░░│
│ ━━━━───── │ ━━━━──────────── │                  │░░░░░░░░░░│
└───────────┴──────────────────┴──────────────────┴──────────┘"""

GOLDEN_ASCII = """\
+-----------+------------------+------------------+----------+
| 1 esp     | 2 root-a         | 3 root-b         |. free ...|
| /boot/efi | /                | empty            |. 2 GiB ..|
| 8 MiB     | 4 GiB            | 4 GiB            |..........|
| ====----- | ====------------ |                  |..........|
+-----------+------------------+------------------+----------+"""


def text(segments: tuple[Segment, ...], width: int, chars: Characters) -> str:
    return "\n".join(paint(line, color=False) for line in draw(segments, width, chars))


@pytest.mark.parametrize(("chars", "golden"), [(UTF8, GOLDEN_UTF8), (ASCII, GOLDEN_ASCII)], ids=["utf8", "ascii"])
def test_golden(chars: Characters, golden: str) -> None:
    assert text(A_B, 62, chars) == golden


@pytest.mark.parametrize("width", [20, 33, 62, 80, 100, 121, 160])
def test_every_line_fills_the_width_exactly(width: int) -> None:
    for line in draw(A_B, width, UTF8):
        assert sum(len(span.text) for span in line) == width


@pytest.mark.parametrize(
    ("sizes", "room", "widths"),
    [
        pytest.param([1, 1, 2], 40, [10, 10, 20], id="to scale"),
        pytest.param([1], 17, [17], id="one"),
        pytest.param([1, 1], 21, [10, 11], id="the rest goes to the last"),
        pytest.param([1, 1000], 50, [3, 47], id="a small one is still seen"),
        pytest.param([1, 1000, 1], 20, [3, 14, 3], id="small ones on both sides"),
        pytest.param([1, 1, 1, 1], 12, [3, 3, 3, 3], id="just enough room"),
        pytest.param([0, 10], 30, [3, 27], id="a size of nothing"),
    ],
)
def test_widths(sizes: list[int], room: int, widths: list[int]) -> None:
    assert share([Segment(size, ("x",)) for size in sizes], room) == widths


def test_equal_partitions_look_equal_beside_free_space() -> None:
    widths = share(A_B, 75)
    assert widths[1] == widths[2]
    assert sum(widths) == 75


def test_nothing_is_drawn_without_room_or_partitions() -> None:
    assert draw((), 80, UTF8) == []
    assert draw(A_B * 8, 80, UTF8) == []


def test_a_used_partition_shows_at_least_one_mark() -> None:
    drawn = text((Segment(GIB, ("1",), used=0.0001), Segment(GIB, ("2",), used=0.0)), 40, ASCII)
    assert drawn.splitlines()[2].count("=") == 1
