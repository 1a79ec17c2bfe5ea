"""zstd frames: never more output than there may be, never memory that only a header asks for, or a FormatError."""

from __future__ import annotations

from contextlib import suppress

import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.mutations import CHANGES, Change, cases, changed, numbers
from tests.memory import little_memory

from twinroot.errors import FormatError, HostError
from twinroot.formats.source import BytesRegion
from twinroot.formats.zstd_frames import FrameCompressor
from twinroot.formats.zstd_headers import MAGIC, SKIPPABLE_MAGIC, parse_frame_header
from twinroot.formats.zstd_reader import decompress
from twinroot.units import KIB, MIB

CONTENTS = b"some text " * 300 + bytes(70 * KIB) + bytes(range(256)) * 20
_CHUNK = 8 * KIB
_LARGEST_WINDOW_HERE = 27  # exponent; `conftest.py` leaves a GiB
_KEPT = 256 * KIB  # of what is decoded, for comparison; more than any right stream holds


def valid(*, chunk: int = _CHUNK) -> bytes:
    with FrameCompressor(1, threads=1, chunk=chunk) as compressor:
        return b"".join(frame.data for frame in compressor.frames(BytesRegion(CONTENTS)))


WITHOUT_LENGTH = zstandard.ZstdCompressor(write_content_size=False).compress(CONTENTS)
STREAMS = (valid(), valid(chunk=MIB), WITHOUT_LENGTH, valid() + b"\x50\x2a\x4d\x18\x04\0\0\0skip" + WITHOUT_LENGTH)
LENGTHS = st.one_of(st.just(len(CONTENTS)), st.sampled_from([0, 1, 2 * len(CONTENTS)]), numbers(64))


def read(stream: bytes, length: int, step: int, window_log: int = 27) -> bytes | None:
    """What is decoded; None after a FormatError, and for want of memory.

    The pieces have no gaps and never exceed the length.
    """
    chunks = (stream[at : at + step] for at in range(0, len(stream), step))
    out, whole = 0, False
    parts = []
    # No memory for a window is no fault of the stream, and of the largest that may be there is too little here.
    refusals = (FormatError, HostError) if window_log > _LARGEST_WINDOW_HERE else (FormatError,)
    with little_memory(4 * MIB), suppress(*refusals):
        for piece in decompress(chunks, length=length, max_window_log=window_log, threads=1):
            assert piece.offset == out and piece.length > 0
            assert piece.data is None or len(piece.data) == piece.length
            out += piece.length
            assert out <= length
            if out <= _KEPT:
                parts.append(bytes(piece.length) if piece.data is None else bytes(piece.data))
        assert out == length
        whole = True
    return b"".join(parts) if whole else None  # outside, as this memory is ours


@cases(2500)
@given(st.sampled_from(STREAMS), CHANGES, LENGTHS, st.sampled_from([7, 100, 1000, MIB]))
def test_damaged_streams(stream: bytes, changes: list[Change], length: int, step: int) -> None:
    damaged = changed(stream, changes)
    found = read(damaged, length, max(step, len(damaged) // 50))
    if found is not None and damaged == stream:
        assert found == CONTENTS[: len(found)] or stream is STREAMS[3]


@cases(500)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"]), LENGTHS)
def test_raw_bytes(raw: bytes, magic: bytes, length: int) -> None:
    assert _is_whole(read(magic + raw, length, 64), length)


def _is_whole(found: bytes | None, length: int) -> bool:
    """Whether nothing was decoded, or all of it, of which no more than `_KEPT` is looked at."""
    return found is None or len(found) == length or length > MIB


def header(descriptor: int, window: int, content: int, dictionary: int) -> bytes:
    """A frame header whose fields follow from its descriptor (RFC 8878, 3.1.1.1)."""
    single = bool(descriptor & 0x20)
    dictionary_size = (0, 1, 2, 4)[descriptor & 3]
    content_size = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    out = MAGIC.to_bytes(4, "little") + bytes([descriptor])
    out += b"" if single else bytes([window])
    out += (dictionary % (1 << 8 * dictionary_size)).to_bytes(dictionary_size, "little")
    return out + (content % (1 << 8 * content_size)).to_bytes(content_size, "little")


BLOCKS = st.lists(
    st.tuples(st.sampled_from([0, 1, 1, 2, 3]), st.one_of(st.integers(0, 64), numbers(21)), st.binary(max_size=16)),
    max_size=4,
)


@cases(2500)
@given(
    st.integers(0, 255), st.integers(0, 255), numbers(64), st.sampled_from([0, 0, 0, 1]), BLOCKS, LENGTHS,
    st.sampled_from([10, 20, 27, 31]),
)  # fmt: skip
def test_hostile_headers(
    descriptor: int, window: int, content: int, dictionary: int, blocks: list[tuple[int, int, bytes]], length: int,
    window_log: int,
) -> None:  # fmt: skip
    stream = header(descriptor, window, content, dictionary)
    for index, (kind, size, data) in enumerate(blocks):
        stream += (size << 3 | kind << 1 | (index == len(blocks) - 1)).to_bytes(3, "little") + data
    with suppress(FormatError):
        parse_frame_header(stream[:18], window_log)
    assert _is_whole(read(stream, length, 1000, window_log), length)
    assert _is_whole(read(stream + bytes(KIB), length, KIB, window_log), length)


@cases(500)
@given(st.integers(0, 15), numbers(32), st.binary(max_size=32))
def test_skippable_frames(kind: int, size: int, rest: bytes) -> None:
    frame = (SKIPPABLE_MAGIC + kind).to_bytes(4, "little") + size.to_bytes(4, "little") + rest
    assert read(frame, 0, 16) in (None, b"")
