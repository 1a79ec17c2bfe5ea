"""The VHD footer: fields, damage, and which size counts."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.errors import FormatError
from twinroot.formats import vhd
from twinroot.units import GIB, MIB

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@given(st.integers(1, 2**40), st.uuids())
def test_round_trip(sectors: int, uuid: UUID) -> None:
    data = vhd.fixed_footer(sectors * 512, uuid=uuid, timestamp=WHEN)
    footer = vhd.read_footer(data)
    assert len(data) == 512
    assert footer is not None
    assert (footer.kind, footer.size, footer.uuid, footer.timestamp) == (vhd.Kind.FIXED, sectors * 512, uuid, WHEN)
    assert not footer.sized_by_geometry
    assert footer.geometry_size <= footer.size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (MIB, (30, 4, 17)),
        (64 * MIB, (963, 8, 17)),
        (504 * MIB, (1024, 16, 63)),
        (10 * GIB, (20805, 16, 63)),
        (127 * GIB, (65278, 16, 255)),
        (4096 * GIB, (65535, 16, 255)),
    ],
)
def test_geometry(size: int, expected: tuple[int, int, int]) -> None:
    assert vhd.geometry(size) == expected


@pytest.mark.parametrize("size", [0, -512, 513])
def test_sizes_that_no_vhd_can_have(size: int) -> None:
    with pytest.raises(FormatError, match="multiples of 512"):
        vhd.fixed_footer(size, uuid=UUID(int=1), timestamp=WHEN)


def test_no_footer() -> None:
    assert vhd.read_footer(bytes(512)) is None
    assert vhd.read_footer(b"conectix") is None
    assert vhd.read_footer(b"") is None


def test_every_flipped_byte_is_noticed() -> None:
    data = vhd.fixed_footer(MIB, uuid=UUID(int=1), timestamp=WHEN)
    for position in range(8, 512):
        broken = bytearray(data)
        broken[position] ^= 0x10
        with pytest.raises(FormatError):
            vhd.read_footer(bytes(broken))


@pytest.mark.parametrize(
    ("creator", "by_geometry"),
    [(b"vpc ", True), (b"vs  ", True), (b"qemu", True), (b"qem2", False), (b"win ", False), (b"wa\0\0", False)],
)
def test_creators(creator: bytes, by_geometry: bool) -> None:
    data = bytearray(vhd.fixed_footer(MIB, uuid=UUID(int=1), timestamp=WHEN))
    difference = sum(creator) - sum(data[28:32])
    data[28:32] = creator
    data[64:68] = (int.from_bytes(data[64:68], "big") - difference).to_bytes(4, "big")
    footer = vhd.read_footer(bytes(data))
    assert footer is not None
    assert footer.sized_by_geometry is by_geometry


def test_times_outside_of_the_format_are_cut() -> None:
    for year, expected in ((1999, 2000), (2500, 2136)):
        data = vhd.fixed_footer(MIB, uuid=UUID(int=1), timestamp=datetime(year, 6, 1, tzinfo=UTC))
        footer = vhd.read_footer(data)
        assert footer is not None
        assert footer.timestamp.year == expected
