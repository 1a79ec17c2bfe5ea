"""The contents of a file as stretches of data between holes, and comparing two of them without reading the holes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from twinroot.formats.source import FileRegion

Runs = Iterator[tuple[int, bytes]]
_STEP = 1 << 20
_SHOWN = 16
_ZEROS = bytes(_STEP)
# Of larger files, which only holes can make so large, no hash is computed: it would take for ever.
_LARGEST_HASHED = 1 << 38


@dataclass(frozen=True)
class Content:
    """`size` bytes; `runs` gives offsets, ascending, with at most 1 MiB of bytes each. What it leaves out is zero."""

    size: int
    runs: Callable[[], Runs]


@dataclass(frozen=True)
class ByteDifference:
    """The first byte that differs: its offset, and up to 16 bytes from there on of either side."""

    offset: int
    before: bytes
    after: bytes


def file_content(region: FileRegion) -> Content:
    """A stretch of a file of this host."""

    def runs() -> Runs:
        with region.opened() as reader:
            for start, end in reader.extents():
                for offset in range(start, end, _STEP):
                    data = bytearray(min(_STEP, end - offset))
                    reader.read_into(memoryview(data), offset)
                    yield offset, bytes(data)

    return Content(region.length, runs)


def whole_file(path: Path) -> Content:
    """A file of this host."""
    return file_content(FileRegion(path, 0, path.stat().st_size))


def first_difference(before: Content, after: Content) -> ByteDifference | None:
    """Where two contents differ first; None when they are the same. A shorter one differs where it ends."""
    length = min(before.size, after.size)
    for offset, one, other in _aligned(before.runs(), after.runs()):
        if offset >= length:
            break
        count = min(len(one), length - offset)
        if one[:count] != other[:count]:
            index = next(i for i in range(count) if one[i] != other[i])
            shown = slice(index, min(index + _SHOWN, count))
            return ByteDifference(offset + index, bytes(one[shown]), bytes(other[shown]))
    return ByteDifference(length, b"", b"") if before.size != after.size else None


def sha256(content: Content) -> str | None:
    """The SHA-256 in hex, as sha256sum prints it; None for files too large to be anything but holes."""
    if content.size > _LARGEST_HASHED:
        return None
    digest = hashlib.sha256()
    position = 0
    for offset, data in content.runs():
        _hash_zeros(digest.update, offset - position)
        digest.update(data)
        position = offset + len(data)
    _hash_zeros(digest.update, content.size - position)
    return digest.hexdigest()


def _hash_zeros(update: Callable[[bytes], None], count: int) -> None:
    while count > 0:
        update(_ZEROS[:count])
        count -= _STEP


def _aligned(before: Runs, after: Runs) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Both contents in pieces of the same places and lengths, without what is a hole in both."""
    one, other = _next(before), _next(after)
    while one or other:
        start = min(run[0] for run in (one, other) if run)
        ends = [run[0] if run[0] > start else run[0] + len(run[1]) for run in (one, other) if run]
        count = min(min(ends) - start, _STEP)
        pieces = []
        for run in (one, other):
            inside = run is not None and run[0] == start
            pieces.append(run[1][:count] if run and inside else memoryview(_ZEROS)[:count])
        yield start, pieces[0], pieces[1]
        one = _behind(one, start + count, before)
        other = _behind(other, start + count, after)


def _next(runs: Runs) -> tuple[int, memoryview] | None:
    for offset, data in runs:
        if data:
            return offset, memoryview(data)
    return None


def _behind(run: tuple[int, memoryview] | None, position: int, runs: Runs) -> tuple[int, memoryview] | None:
    """What is left of a run from `position` on, or the next one."""
    if run is None or run[0] >= position:
        return run
    rest = run[1][position - run[0] :]
    return (position, rest) if len(rest) else _next(runs)
