"""Frames: what goes in comes out, zeros cost nothing, damage and limits are noticed, threads end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from twinroot.errors import FormatError
from twinroot.formats.source import BytesRegion, FileRegion, Source
from twinroot.formats.zstd_frames import FrameCompressor, frame_window_log
from twinroot.formats.zstd_reader import Piece, decompress, process
from twinroot.units import GIB, KIB, MIB

SKIPPABLE = b"\x50\x2a\x4d\x18\x10\0\0\0" + b"i" * 16
CHUNK = 64 * KIB


def compressed(source: Source, level: int = 3, chunk: int | None = CHUNK) -> bytes:
    with FrameCompressor(level, threads=2, chunk=chunk) as compressor:
        return b"".join(frame.data for frame in compressor.frames(source))


def joined(pieces: Iterator[Piece]) -> bytes:
    out = bytearray()
    for piece in pieces:
        assert piece.offset == len(out)
        assert piece.length > 0
        assert piece.data is None or len(piece.data) == piece.length
        out += piece.data if piece.data is not None else bytes(piece.length)
    return bytes(out)


def decoded(chunks: Iterable[bytes], **parameters: int) -> bytes:
    """What both ways of decoding make of a stream: they agree, about damage too."""
    stream = list(chunks)

    def copies(pieces: Iterator[Piece]) -> list[Piece]:
        return [replace(each, data=each.data and memoryview(bytes(each.data))) for each in pieces]

    try:
        found = joined(decompress(stream, **parameters))
    except FormatError as error:
        with pytest.raises(type(error)):
            list(process(stream, copies, **parameters))
        raise
    assert joined(chain.from_iterable(process(stream, copies, **parameters))) == found
    return found


def in_steps(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    blocks = st.tuples(st.sampled_from([0, 0, 7, 255]), st.integers(1, 100 * KIB), st.binary(max_size=20))
    return b"".join(bytes([fill]) * size + extra for fill, size, extra in draw(st.lists(blocks, max_size=5)))


@settings(max_examples=60)
@given(contents(), st.sampled_from([1, 3, 12]), st.sampled_from([1, 5, 1000, MIB]), st.booleans())
def test_round_trip(data: bytes, level: int, step: int, skippable: bool) -> None:
    stream = (SKIPPABLE if skippable else b"") + compressed(BytesRegion(data), level)
    step = max(step, len(stream) // 2000 + 1)
    assert decoded(in_steps(stream, step), length=len(data)) == data


@pytest.mark.parametrize("level", [1, 3, 9, 10, 19, 22])
def test_every_level_decodes_with_any_decoder(level: int) -> None:
    data = os.urandom(100 * KIB) + bytes(MIB) + b"abc" * 100_000
    stream = compressed(BytesRegion(data), level, None)
    assert zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True).read() == data
    assert stream == compressed(BytesRegion(data), level, None)


@pytest.mark.parametrize("level", [0, -1, 23])
def test_levels_that_do_not_exist(level: int) -> None:
    with pytest.raises(FormatError, match="outside of 1 to 22"):
        FrameCompressor(level)


def test_file_region_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as stream:
        stream.truncate(40 * MIB)
        for at in (MIB - 10, 9 * MIB, 33 * MIB + 5, 40 * MIB - 20):
            stream.seek(at)
            stream.write(b"some data, twenty b.")
    whole = path.read_bytes()
    for offset, length in ((0, 40 * MIB), (MIB - 5, 8 * MIB + 6), (MIB + 10, 8 * MIB - 10), (5, 0)):
        part = whole[offset : offset + length]
        for chunk in (CHUNK, 4 * MIB):
            stream_bytes = compressed(FileRegion(path, offset, length), chunk=chunk)
            assert decoded([stream_bytes], length=length) == part


def test_forty_gibibytes_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    with path.open("wb") as stream:
        stream.truncate(40 * GIB)
        stream.seek(20 * GIB)
        stream.write(b"x")
    with FrameCompressor(19) as compressor:
        frames = list(compressor.frames(FileRegion(path, 0, 40 * GIB)))
    assert sum(frame.length for frame in frames) == 40 * GIB
    assert sum(not frame.zero for frame in frames) == 1
    size, data = 0, 0
    for piece in decompress((frame.data for frame in frames), length=40 * GIB):
        size += piece.length
        data += piece.length if piece.data is not None else 0
    assert size == 40 * GIB
    assert data == 64 * KIB


def test_file_shorter_than_its_region(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 100)
    with pytest.raises(FormatError, match="100 bytes long, but 101 are needed"):
        compressed(FileRegion(path, 1, 100))


def test_window_log_is_what_frames_need() -> None:
    with FrameCompressor(3, threads=1) as compressor:
        list(compressor.frames(BytesRegion(b"x" * 17408)))
        assert compressor.window_log == 15
        frames = list(compressor.frames(BytesRegion(os.urandom(5 * MIB))))
        assert compressor.window_log == 21
    stream = b"".join(frame.data for frame in frames)
    decoded([stream], length=5 * MIB, max_window_log=21)
    with pytest.raises(FormatError, match="needs a window"):
        decoded([stream], length=5 * MIB, max_window_log=20)


def streamed(data: bytes, **parameters: int) -> bytes:
    """A frame without content size, as a foreign writer makes it."""
    made = zstandard.ZstdCompressionParameters.from_level(3, write_content_size=False, **parameters)
    compressor = zstandard.ZstdCompressor(compression_params=made).compressobj()
    return compressor.compress(data) + compressor.flush()


def test_foreign_streams() -> None:
    data = os.urandom(300 * KIB) + bytes(2 * MIB) + b"tail" * 50_000
    one = streamed(data)
    assert joined(decompress(in_steps(one, 777), length=len(data))) == data
    mixed = SKIPPABLE + one + SKIPPABLE + compressed(BytesRegion(data)) + streamed(b"") + SKIPPABLE
    assert decoded([mixed], length=2 * len(data)) == data + data
    long_window = streamed(data, window_log=27)
    assert frame_window_log(long_window) == 27
    assert decoded([long_window], length=len(data)) == data
    with pytest.raises(FormatError, match="window"):
        decoded([long_window], length=len(data), max_window_log=26)


def test_large_frame_is_decoded_as_it_comes() -> None:
    large = zstandard.ZstdCompressor().compress(bytes(70 * MIB) + b"end")
    assert sum(piece.length for piece in decompress(in_steps(large, 100), length=70 * MIB + 3)) == 70 * MIB + 3
    many_blocks = zstandard.ZstdCompressor().compressobj(size=200_000)
    parts = [many_blocks.compress(b"x") + many_blocks.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for _ in range(200_000)]
    frame = b"".join(parts) + many_blocks.flush()
    assert decoded([frame], length=200_000) == b"x" * 200_000


@pytest.mark.parametrize("make", [lambda data: compressed(BytesRegion(data)), streamed])
def test_damage(make: object) -> None:
    assert callable(make)
    data = os.urandom(70 * KIB) + bytes(200 * KIB) + b"z" * 1000
    stream: bytes = SKIPPABLE + make(data)
    for cut in [1, 5, 10, 23, 26, 30, 200, len(stream) // 2, len(stream) - 1]:
        with pytest.raises(FormatError):
            decoded([stream[:cut]], length=len(data))
    for trailer in (b"\0", b"\0" * 100, b"PK\x03\x04", stream[24:30]):
        with pytest.raises(FormatError):
            decoded([stream + trailer], length=len(data))
    for length in (len(data) - 1, len(data) + 1, 0):
        with pytest.raises(FormatError, match="decompresses to"):
            decoded([stream], length=length)


def test_every_flipped_byte_is_noticed_or_harmless() -> None:
    data = b"The quick brown fox. " * 40 + bytes(200)
    stream = compressed(BytesRegion(data))
    for position in range(len(stream)):
        for mask in (0x01, 0x80, 0xFF):
            broken = bytearray(stream)
            broken[position] ^= mask
            try:
                assert decoded([bytes(broken)], length=len(data)) == data
            except FormatError as error:
                assert error.message


@given(st.binary(max_size=200), st.booleans())
def test_garbage_raises_only_format_errors(garbage: bytes, magic: bool) -> None:
    stream = (b"\x28\xb5\x2f\xfd" if magic else b"") + garbage
    try:
        decoded([stream], length=1000, max_window_log=20)
    except FormatError as error:
        assert error.message


def worker_count() -> int:
    return sum(thread.name.startswith(("zstd", "unzstd")) for thread in threading.enumerate())


def test_work_is_done_in_several_threads_and_comes_back_in_order() -> None:
    data = os.urandom(40 * CHUNK)
    stream = compressed(BytesRegion(data))
    first_two, threads = threading.Barrier(2), set[str]()

    def work(pieces: Iterator[Piece]) -> tuple[int, bytes]:
        found = list(pieces)
        if threading.current_thread().name not in threads:
            threads.add(threading.current_thread().name)
            first_two.wait(timeout=60)
        return found[0].offset, b"".join(piece.data or b"" for piece in found)

    results = list(process([stream], work, length=len(data), threads=2))
    assert [offset for offset, _ in results] == list(range(0, len(data), CHUNK))
    assert b"".join(contents for _, contents in results) == data


def test_a_frame_without_its_length_is_worked_on_in_parts() -> None:
    data = os.urandom(3 * MIB)
    sizes = list(process([streamed(data)], lambda pieces: sum(piece.length for piece in pieces), length=len(data)))
    assert sum(sizes) == len(data)
    assert max(sizes) < 2 * MIB


def test_work_that_fails_ends_the_threads() -> None:
    data = os.urandom(40 * CHUNK)

    def work(pieces: Iterator[Piece]) -> int:
        if next(pieces).offset == 5 * CHUNK:
            raise OSError("no room")
        return 0

    results = process([compressed(BytesRegion(data))], work, length=len(data), threads=2)
    with pytest.raises(OSError, match="no room"):
        list(results)
    assert worker_count() == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, GeneratorExit])
@pytest.mark.parametrize("level", [3, 22])
def test_interruption_ends_the_threads(error: type[BaseException], level: int, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(os.urandom(MIB) * 40)

    def consume() -> None:
        with FrameCompressor(level, threads=2, chunk=MIB) as compressor:
            for _ in compressor.frames(FileRegion(path, 0, 40 * MIB)):
                raise error

    with pytest.raises(error):
        consume()
    assert worker_count() == 0


def test_abandoned_region_leaves_the_compressor_usable() -> None:
    data = os.urandom(MIB) * 3
    with FrameCompressor(12, threads=2, chunk=CHUNK) as compressor:
        frames = compressor.frames(BytesRegion(data))
        next(frames)
        frames.close()  # type: ignore[attr-defined]
        stream = b"".join(frame.data for frame in compressor.frames(BytesRegion(data)))
    assert decoded([stream], length=len(data)) == data
    pieces = decompress([stream], length=len(data))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert worker_count() == 0


def test_error_while_reading_reaches_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(os.urandom(4 * MIB))

    def consume() -> None:
        with FrameCompressor(3, threads=1, chunk=CHUNK) as compressor:
            for _ in compressor.frames(FileRegion(path, 0, 4 * MIB)):
                os.truncate(path, 3 * MIB)

    with pytest.raises(FormatError, match="became shorter"):
        consume()
    assert worker_count() == 0
