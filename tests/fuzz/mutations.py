"""Ways to damage valid bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from twinroot.units import MIB

# A machine's own limits are where mistakes live.
EDGES = sorted(
    {max(2**power + delta, 0) for power in (0, 3, 7, 8, 9, 12, 15, 16, 31, 32, 62, 63, 64) for delta in (-1, 0, 1)}
)

Change = tuple[str, int, bytes]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "flip", "insert", "delete", "cut", "repeat"]),
        st.integers(0, 1 << 20),
        st.binary(min_size=1, max_size=8),
    ),
    max_size=4,
)


def cases(number: int) -> Callable[[Any], Any]:
    """So many cases of a test. The sum over tests/fuzz is 20,000 and more."""
    return settings(
        max_examples=number,
        deadline=None,
        # Shrinking runs a case a thousand times over, with the watch over its memory; the cases are small as they are.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )


def numbers(bits: int) -> st.SearchStrategy[int]:
    """Unsigned numbers of so many bits, edges first of all."""
    most = 2**bits - 1
    return st.one_of(st.sampled_from([edge for edge in EDGES if edge <= most]), st.integers(0, most))


def changed(data: bytes, changes: list[Change]) -> bytes:
    """The bytes after changes; places count from the start and wrap around."""
    out = bytearray(data)
    for kind, place, value in changes:
        at = place % (len(out) + 1)
        if kind == "set":
            out[at : at + len(value)] = value
        elif kind == "flip" and at < len(out):
            out[at] ^= value[0] or 1
        elif kind == "insert":
            out[at:at] = value
        elif kind == "delete":
            del out[at : at + len(value)]
        elif kind == "cut":
            del out[at:]
        elif kind == "repeat":
            out[at:at] = out[at : at + 64 * len(value)]
    return bytes(out)


def reading(data: bytes) -> Callable[[int, int], bytes]:
    """A function that reads at offsets, as the readers want it."""

    def read_at(offset: int, size: int) -> bytes:
        assert size <= 64 * MIB, "nobody has that much memory to spare"
        return data[offset : offset + size]

    return read_at
