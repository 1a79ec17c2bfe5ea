"""Comparing and hashing contents with holes gives what the whole bytes would give."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.output.contents import ByteDifference, Content, first_difference, sha256, whole_file

# Pieces of a content: how many zeros are left out before it, and its bytes, some of which are zeros too.
PIECES = st.lists(st.tuples(st.integers(0, 5), st.lists(st.sampled_from([0, 0, 1, 2]), max_size=6).map(bytes)))


def build(pieces: list[tuple[int, bytes]], end: int) -> tuple[Content, bytes]:
    """The content with holes, and the same without."""
    runs, whole = [], bytearray()
    for hole, data in pieces:
        whole += bytes(hole)
        runs.append((len(whole), data))
        whole += data
    whole += bytes(end)

    def again() -> Iterator[tuple[int, bytes]]:
        return iter(runs)

    return Content(len(whole), again), bytes(whole)


def naive(one: bytes, other: bytes) -> int | None:
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return None if len(one) == len(other) else min(len(one), len(other))


@given(PIECES, PIECES, st.integers(0, 5), st.integers(0, 5))
def test_first_difference(one: list[tuple[int, bytes]], other: list[tuple[int, bytes]], a: int, b: int) -> None:
    (left, left_bytes), (right, right_bytes) = build(one, a), build(other, b)
    found = first_difference(left, right)
    expected = naive(left_bytes, right_bytes)
    assert (found.offset if found else None) == expected
    if found and expected is not None and expected < min(len(left_bytes), len(right_bytes)):
        assert left_bytes[expected:].startswith(found.before)
        assert right_bytes[expected:].startswith(found.after)
        assert found.before != found.after


@given(PIECES, st.integers(0, 5))
def test_hash_is_that_of_the_whole(pieces: list[tuple[int, bytes]], end: int) -> None:
    content, whole = build(pieces, end)
    assert sha256(content) == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (b"same", b"same", None),
        (b"a" * 2_000_000 + b"x", b"a" * 2_000_000 + b"y", ByteDifference(2_000_000, b"x", b"y")),
        (b"long", b"longer", ByteDifference(4, b"", b"")),
        (b"", b"", None),
    ],
)
def test_files(one: bytes, other: bytes, expected: ByteDifference | None, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(one)
    (tmp_path / "other").write_bytes(other)
    assert first_difference(whole_file(tmp_path / "one"), whole_file(tmp_path / "other")) == expected


def test_absurd_size_is_not_hashed() -> None:
    assert sha256(Content(1 << 50, lambda: iter(()))) is None
