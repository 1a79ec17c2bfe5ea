"""Streams made to take much memory, or to be believed although they are damaged."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import zstandard
from tests.memory import bounded_address_space, little_memory, little_resident_memory

from twinroot.errors import FormatError, HostError
from twinroot.formats.zstd_reader import LengthError, Piece, decompress, process
from twinroot.units import GIB, KIB, MIB

MAGIC = b"\x28\xb5\x2f\xfd"


def frame(content: int, *blocks: tuple[int, int, bytes]) -> bytes:
    """A frame of one segment without checksum; blocks are kind, size and what follows (RFC 8878, 3.1.1.2)."""
    out = MAGIC + b"\xa0" + content.to_bytes(4, "little")
    for index, (kind, size, data) in enumerate(blocks):
        out += (size << 3 | kind << 1 | (index == len(blocks) - 1)).to_bytes(3, "little") + data
    return out


RAW, REPEATED = 0, 1


def test_a_promised_length_is_not_allocated() -> None:
    stream = frame(30 * MIB, (RAW, 3, b"abc"))
    with little_memory(MIB), pytest.raises(LengthError, match="more than the 10 bytes"):
        list(decompress([stream], length=10))


def test_what_blocks_cannot_hold_is_not_allocated() -> None:
    stream = frame(30 * MIB, (REPEATED, 256, b"x"), (REPEATED, 256, b"x"))
    with little_memory(MIB), pytest.raises(FormatError, match="promises more than its blocks can hold"):
        list(decompress([stream], length=GIB))


def test_many_empty_blocks_take_no_more_than_their_bytes() -> None:
    blocks = bytes(3 * 200_000)
    stream = frame(16 * MIB) + blocks
    with little_memory(4 * MIB), pytest.raises(FormatError, match="cut off"):
        list(decompress((stream[at : at + 64 * KIB] for at in range(0, len(stream), 64 * KIB)), length=16 * MIB))


def test_an_empty_frame_with_contents_is_damaged() -> None:
    assert list(decompress([frame(0, (RAW, 0, b""))], length=0)) == []
    with pytest.raises(FormatError):
        list(decompress([frame(0, (RAW, 3, b"abc"))], length=0))


def test_frames_of_zeros_are_not_all_remembered() -> None:
    sizes = range(1, 6001)
    stream = b"".join(frame(size, (REPEATED, size, b"\0")) for size in sizes)
    with little_memory(512 * KIB):
        chunks = (stream[at : at + 4 * KIB] for at in range(0, len(stream), 4 * KIB))
        total = sum(piece.length for piece in decompress(chunks, length=sum(sizes), threads=1))
    assert total == sum(sizes)


def test_large_frames_wait_for_each_other() -> None:
    """Frames of 32 MiB, as other writers and our higher levels make them, are not all decoded ahead."""
    one = frame(32 * MIB, *[(REPEATED, 128 * KIB, b"x")] * 256)
    with little_resident_memory(100 * MIB):
        assert sum(process([one] * 6, lengths, length=192 * MIB, threads=4)) == 192 * MIB


def test_frames_of_many_sizes_keep_little_memory() -> None:
    sizes = [32, 1, 1, 1, 1, 8, 16, 1] * 3
    frames = [frame(size * MIB, *[(REPEATED, 128 * KIB, b"x")] * (8 * size)) for size in sizes]
    with little_resident_memory(100 * MIB):
        assert sum(process(frames, lengths, length=sum(sizes) * MIB, threads=4)) == sum(sizes) * MIB


def lengths(pieces: Iterator[Piece]) -> int:
    """Work that keeps nothing, and takes a while."""
    time.sleep(0.004)
    return sum(piece.length for piece in pieces)


def test_a_window_for_which_there_is_no_memory_is_no_damage() -> None:
    made = zstandard.ZstdCompressionParameters.from_level(1, window_log=31, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=made).compressobj()
    stream = compressor.compress(b"data" * 100) + compressor.flush()
    with bounded_address_space(GIB), pytest.raises(HostError, match="takes 2 GiB of memory") as caught:
        list(decompress([stream], length=400, max_window_log=31))
    assert caught.value.hint is not None
