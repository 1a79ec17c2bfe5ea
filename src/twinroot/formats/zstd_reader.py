"""Streaming decompression of a sequence of zstd frames, with zeros recognised and independent frames in parallel.

Frame boundaries are found by walking the format (RFC 8878, section 3.1): magic, frame header, blocks of known length,
checksum. That needs no decompression, and it tells three things before any memory is spent: the window a frame asks
for, how long its contents are, and where it ends. Frames of up to `_WHOLE` bytes of contents go to worker threads, as
many as `_HELD` bytes allow; larger ones, or those that do not say, are decoded block by block as they come. Skippable
frames are skipped.

Output is a sequence of `Piece`s without gaps; stretches of zeros come without data, so that a consumer can leave
holes. Damage of any kind is a FormatError.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import zstandard

from twinroot.errors import FormatError
from twinroot.formats.zstd_frames import MIN_WINDOW_LOG, available_threads, is_zero
from twinroot.units import KIB, MIB

# What a decoder accepts when the metadata do not say (ZSTD_WINDOWLOG_LIMIT_DEFAULT; COSI spec 3.9).
DEFAULT_WINDOW_LOG = 27
MAGIC = 0xFD2FB528
SKIPPABLE_MAGIC = 0x184D2A50

# As long as the frames that we make at high levels.
_WHOLE = 32 * MIB
# What frames in work may take together, compressed and not: a machine that is serviced has other things to do.
_HELD = 48 * MIB
# More do not pay, the target of the data is slower; and each holds a whole frame.
_MOST_THREADS = 4
# Zeros are looked for in steps of this many bytes; a multiple of every block size a target has.
_GRAIN = 64 * KIB
# Frames this short that turn out to be zeros are remembered and not decoded again.
_SHORT = 4 * KIB
_MOST_REMEMBERED = 64
_CUT_OFF = "the compressed data is cut off"


# What the library can do at most (ZSTD_WINDOWLOG_MAX on 64-bit machines).
_LARGEST_WINDOW_LOG = 31


class WindowError(FormatError):
    """A frame asks for a larger window than is allowed."""


class LengthError(FormatError):
    """The contents are longer or shorter than they should be."""


@dataclass(frozen=True)
class Piece:
    """`length` bytes of output at `offset`. `data` is None for zeros."""

    offset: int
    length: int
    data: memoryview | None


@dataclass(frozen=True)
class FrameHeader:
    """What the head of a zstd frame says. `content` is None if it does not tell its length."""

    size: int
    window: int
    content: int | None
    checksum: bool


_Part = bytes | int  # decoded bytes, or that many zeros


@dataclass(frozen=True)
class _Job:
    """Work that any thread may do. It takes up to `size` bytes of memory, until its result is taken."""

    run: Callable[[], _Part]
    size: int


def decompress(
    chunks: Iterable[bytes],
    *,
    length: int,
    max_window_log: int = DEFAULT_WINDOW_LOG,
    threads: int | None = None,
) -> Iterator[Piece]:
    """Decompress a stream that comes in pieces of any size; yields the output in order, without gaps.

    `length` is what the output must amount to. Raises FormatError for damage, a window beyond `max_window_log`, data
    that is no zstd frame, and too much or too little output.
    """
    if max_window_log > _LARGEST_WINDOW_LOG:
        raise WindowError(f"may need a window of 2^{max_window_log} bytes, more than zstd supports")
    decoder = _Decoder(_Input(iter(chunks)), max_window_log, length)
    offset = 0
    zeros = bytes(_GRAIN)
    workers = threads or min(available_threads(), _MOST_THREADS)
    with ThreadPoolExecutor(workers, thread_name_prefix="unzstd") as pool:
        for part in _parallel(decoder, pool, workers):
            if isinstance(part, int):
                yield Piece(offset, part, None)
                offset += part
            else:
                yield from _pieces(part, offset, zeros)
                offset += len(part)
    if offset != length:
        raise LengthError(f"decompresses to {offset} bytes instead of {length}")


def parse_frame_header(head: bytes | memoryview, max_window_log: int) -> FrameHeader:
    """Read a frame header (RFC 8878, 3.1.1.1) from at least 18 bytes after the frame's start, fewer at the end."""
    descriptor = head[4] if len(head) > 4 else 0
    single_segment = bool(descriptor & 0x20)
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    size = 5 + (not single_segment) + dictionary + content
    if len(head) < size:
        raise FormatError(_CUT_OFF)
    if descriptor & 0x08:
        raise FormatError("a zstd frame uses a reserved bit")
    at = 5 + (not single_segment)
    if int.from_bytes(head[at : at + dictionary], "little"):
        raise FormatError("a zstd frame needs a dictionary")
    length = int.from_bytes(head[at + dictionary : size], "little") + (256 if content == 2 else 0)
    if single_segment:
        window = length
    else:
        base = 1 << (10 + (head[5] >> 3))
        window = base + (base >> 3) * (head[5] & 7)
    if window > 1 << max_window_log:
        raise WindowError(f"a zstd frame needs a window of {window} bytes, more than 2^{max_window_log}")
    return FrameHeader(size, window, length if content else None, bool(descriptor & 0x04))


class _Input:
    """Bytes on demand from an iterator of pieces."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = b""
        self._at = 0

    def peek(self, count: int) -> memoryview:
        """The next bytes without taking them; fewer at the end."""
        while len(self._data) - self._at < count:
            more = next(self._chunks, None)
            if more is None:
                break
            self._data = self._data[self._at :] + bytes(more)
            self._at = 0
        return memoryview(self._data)[self._at : self._at + count]

    def take(self, count: int) -> memoryview:
        """Exactly the next `count` bytes; FormatError if there are fewer."""
        found = self.peek(count)
        if len(found) < count:
            raise FormatError(_CUT_OFF)
        self._at += count
        return found


class _Decoder:
    """Cuts the input into frames and decodes them, up to `length` bytes in all."""

    def __init__(self, source: _Input, max_window_log: int, length: int) -> None:
        self._input = source
        self._length = self._left = length
        self._max_window_log = max_window_log
        self._max_window = 1 << max(max_window_log, MIN_WINDOW_LOG)
        self._local = threading.local()
        self._known_zeros: dict[bytes, int] = {}

    def jobs(self) -> Iterator[_Job | _Part]:
        """What to do, in order: work that any thread may do, or output that is there already."""
        while head := self._input.peek(18):
            magic = int.from_bytes(head[:4], "little")
            if len(head) >= 4 and magic & 0xFFFFFFF0 == SKIPPABLE_MAGIC:
                self._skip()
            elif len(head) >= 4 and magic == MAGIC:
                yield from self._frame(parse_frame_header(head, self._max_window_log))
            else:
                raise FormatError("is not a zstd stream, or other data follows it")

    def _skip(self) -> None:
        left = int.from_bytes(self._input.take(8)[4:], "little")
        while left:
            left -= len(self._input.take(min(left, MIB)))

    def _frame(self, header: FrameHeader) -> Iterator[_Job | _Part]:
        parts = self._parts(header)
        content = header.content or 0
        # Before anything is decoded: what a header promises would be allocated.
        self._check_room(content)
        if not content or content > _WHOLE:
            yield from self._stream(parts)
            return
        # A frame may legally consist of any number of empty blocks; beyond this it is no longer kept in memory.
        limit = content + content // 64 + 64 * KIB
        gathered = bytearray()
        for part in parts:
            gathered += part
            if len(gathered) > limit:
                yield from self._stream(_chain(gathered, parts))
                return
        self._left -= content
        known = self._known_zeros.get(bytes(gathered)) if len(gathered) <= _SHORT else None
        if known:
            yield known
        else:
            yield _Job(lambda: self._whole(gathered, content), content + len(gathered))

    def _check_room(self, size: int) -> None:
        if size > self._left:
            raise LengthError(f"decompresses to more than the {self._length} bytes it should have")

    def _parts(self, header: FrameHeader) -> Iterator[memoryview]:
        """The bytes of one frame, in steps of a block."""
        yield self._input.take(header.size)
        last = False
        while not last:
            block = int.from_bytes(self._input.peek(3), "little")
            last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
            yield self._input.take(3 + (1 if kind == 1 else size))
        if header.checksum:
            yield self._input.take(4)

    def _stream(self, parts: Iterable[bytearray | memoryview]) -> Iterator[bytes]:
        decoder = zstandard.ZstdDecompressor(max_window_size=self._max_window).decompressobj()
        try:
            for part in parts:
                if output := decoder.decompress(part):
                    self._check_room(len(output))
                    self._left -= len(output)
                    yield output
        except zstandard.ZstdError as error:
            raise _damaged(error) from error
        if not decoder.eof:
            raise FormatError(_CUT_OFF)

    def _whole(self, frame: bytearray, content: int) -> _Part:
        """Runs in a worker: decode one complete frame."""
        if not hasattr(self._local, "decoder"):
            self._local.decoder = zstandard.ZstdDecompressor(max_window_size=self._max_window)
        try:
            output: bytes = self._local.decoder.decompress(frame)
        except zstandard.ZstdError as error:
            raise _damaged(error) from error
        if len(output) != content:
            raise FormatError(_CUT_OFF)
        if len(frame) <= _SHORT and not output.strip(b"\0"):
            if len(self._known_zeros) < _MOST_REMEMBERED:
                self._known_zeros[bytes(frame)] = len(output)
            return len(output)
        return output


def _parallel(decoder: _Decoder, pool: ThreadPoolExecutor, workers: int) -> Iterator[_Part]:
    """Run the decoder's jobs on the pool, a bounded number at a time, and yield their results in order."""
    waiting: deque[tuple[Future[_Part] | _Part, int]] = deque()
    held = 0
    try:
        for job in decoder.jobs():
            size = job.size if isinstance(job, _Job) else 0
            while waiting and (len(waiting) > 2 * workers or held + size > _HELD):
                item, taken = waiting.popleft()
                yield _result(item)
                held -= taken
            waiting.append((pool.submit(job.run) if isinstance(job, _Job) else job, size))
            held += size
        while waiting:
            yield _result(waiting.popleft()[0])
    finally:
        for item, _ in waiting:
            if isinstance(item, Future):
                item.cancel()


def _result(item: Future[_Part] | _Part) -> _Part:
    return item.result() if isinstance(item, Future) else item


def _pieces(data: bytes, offset: int, zeros: bytes) -> Iterator[Piece]:
    """Split output into runs of zeros and runs of data, in steps of the grain."""
    view = memoryview(data)
    start, run_is_zero = 0, False
    for at in range(0, len(view), _GRAIN):
        zero = is_zero(view[at : at + _GRAIN], zeros)
        if at > start and zero != run_is_zero:
            yield Piece(offset + start, at - start, None if run_is_zero else view[start:at])
            start = at
        run_is_zero = zero
    if len(view) > start:
        yield Piece(offset + start, len(view) - start, None if run_is_zero else view[start:])


def _chain(first: bytearray, rest: Iterator[memoryview]) -> Iterator[bytearray | memoryview]:
    yield first
    yield from rest


def _damaged(error: zstandard.ZstdError) -> FormatError:
    return FormatError(f"the compressed data is damaged ({error})")
