"""Streaming decompression of a sequence of zstd frames, with zeros recognised and independent frames in parallel.

    bytes ─▶ frames found and cut ─▶ decoded, zeros recognised ─▶ worked on ─▶ results in order
              (caller's thread)          (decoders, a frame each)    (workers)    (caller's thread)

Frame boundaries are found by walking the format (RFC 8878, section 3.1): magic, frame header, blocks of known length,
checksum. That needs no decompression, and it tells three things before any memory is spent: the window a frame asks
for, how long its contents are, and where it ends. Frames of up to `_WHOLE` bytes of contents go to the decoders, as
many as `_HELD` bytes allow; larger ones, or those that do not say, are decoded in steps as they come. Skippable
frames are skipped.

Output is a sequence of `Piece`s without gaps; stretches of zeros come without data, so that a consumer can leave
holes. `process` lets a consumer work on the pieces where they lie, in threads that do nothing else: one that waits for
a disk is given a core as soon as that has answered, one that decodes as well is not. The next frame is decoded into the
same memory then; `decompress` hands out copies. Damage of any kind is a FormatError.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

import zstandard

from twinroot.errors import FormatError, HostError, TwinrootError
from twinroot.formats.reused_memory import ReusedMemory
from twinroot.formats.zstd_frames import MIN_WINDOW_LOG, available_threads, is_zero
from twinroot.formats.zstd_headers import (
    CUT_OFF,
    LARGEST_BLOCK,
    MAGIC,
    SKIPPABLE_MAGIC,
    FrameHeader,
    WindowError,
    block_header,
    parse_frame_header,
)
from twinroot.interrupts import held
from twinroot.units import KIB, MIB, exact

# What a decoder accepts when the metadata do not say, or say 0 (ZSTD_WINDOWLOG_LIMIT_DEFAULT; COSI spec 3.9).
DEFAULT_WINDOW_LOG = 27
# What the library can do at most (ZSTD_WINDOWLOG_MAX on 64-bit machines).
LARGEST_WINDOW_LOG = 31

# As long as the frames that we make at high levels.
_WHOLE = 32 * MIB
# What frames in work may take together, compressed and not: a machine that is serviced has other things to do.
_HELD = 48 * MIB
# Of each kind. More do not pay, the target of the data is slower; and each holds a whole frame.
_MOST_THREADS = 4
# Frames that are decoded in steps: what of their output is handed on at once.
_STEP = MIB
# Zeros are looked for in steps of this many bytes; a multiple of every block size a target has.
_GRAIN = 64 * KIB
_ZEROS = bytes(_GRAIN)
# Frames this short that turn out to be zeros are remembered and not decoded again.
_SHORT = 4 * KIB
_MOST_REMEMBERED = 64
# How the library says it (zstd, lib/common/error_private.c).
_NO_MEMORY = "not enough memory"


class LengthError(FormatError):
    """The contents are longer or shorter than they should be."""


@dataclass(frozen=True)
class Piece:
    """`length` bytes of output at `offset`. `data` is None for zeros."""

    offset: int
    length: int
    data: memoryview | None


_Part = memoryview | int  # decoded bytes, or that many zeros
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Job:
    """A stretch of the output, which any thread may decode, into `room` bytes of memory that are lent to it.

    It takes up to `size` bytes until it is done, with those.
    """

    offset: int
    decode: Callable[[memoryview], _Part]
    size: int
    room: int = 0


def decompress(
    chunks: Iterable[bytes],
    *,
    length: int,
    max_window_log: int | None = None,
    threads: int | None = None,
) -> Iterator[Piece]:
    """Decompress a stream that comes in pieces of any size; yields the output in order, without gaps.

    `length` is what the output must amount to; a `max_window_log` of None or, as in the library, 0 is its default.
    Raises FormatError for damage, a window beyond `max_window_log`, data that is no zstd frame, and too much or too
    little output.
    """
    for pieces in process(chunks, kept, length=length, max_window_log=max_window_log, threads=threads):
        yield from pieces


def process(
    chunks: Iterable[bytes],
    work: Callable[[Iterator[Piece]], _Result],
    *,
    length: int,
    max_window_log: int | None = None,
    threads: int | None = None,
) -> Generator[_Result, None, None]:
    """Decompress a stream and do `work` on each part of its output; yields what `work` returns, in order.

    A part is some pieces without gaps. `work` runs in several threads at once, for parts in any order, and none of them
    runs any more when the iteration has ended or was closed. When it returns, the memory of its pieces is used again.
    Raises what `decompress` raises, and what `work` does.
    """
    max_window_log = max_window_log or DEFAULT_WINDOW_LOG
    if max_window_log > LARGEST_WINDOW_LOG:
        raise WindowError(f"may need a window of 2^{max_window_log} bytes, more than zstd supports")
    decoder = _Decoder(_Input(iter(chunks)), max_window_log, length)
    count = threads or min(available_threads(), _MOST_THREADS)
    stages = _Stages(work, count)
    try:
        yield from _parallel(decoder.jobs(), stages, ahead=3 * count)
    finally:
        # A wait that a signal ends would leave them writing, to whatever has the numbers of closed files by then.
        with held():
            stages.end()
    if decoder.offset != length:
        raise LengthError(f"decompresses to {decoder.offset} bytes instead of {length}")


def kept(pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces with data of their own, to be kept."""
    return [
        Piece(piece.offset, piece.length, None if piece.data is None else memoryview(bytes(piece.data)))
        for piece in pieces
    ]


class _Input:
    """Bytes on demand from an iterator of pieces."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = bytearray()  # its front is cut off and its end extended without moving the rest

    def peek(self, count: int, start: int = 0) -> bytes:
        """`count` bytes from `start` on without taking any; fewer at the end."""
        while len(self._data) < start + count:
            more = next(self._chunks, None)
            if more is None:
                break
            self._data += more
        with memoryview(self._data) as data:
            return bytes(data[start : start + count])

    def take(self, count: int) -> bytes:
        """Exactly the next `count` bytes; FormatError if there are fewer."""
        found = self.peek(count)
        if len(found) < count:
            raise FormatError(CUT_OFF)
        del self._data[:count]
        return found


class _Decoder:
    """Cuts the input into frames and says how to decode them, up to `length` bytes in all.

    `offset` is how much of the output the jobs so far amount to.
    """

    def __init__(self, source: _Input, max_window_log: int, length: int) -> None:
        self.offset = 0
        self._input = source
        self._length = length
        self._max_window_log = max_window_log
        self._max_window = 1 << max(max_window_log, MIN_WINDOW_LOG)
        self._local = threading.local()
        self._known_zeros: dict[bytes, int] = {}

    def jobs(self) -> Iterator[_Job]:
        """What to decode, in order."""
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

    def _frame(self, header: FrameHeader) -> Iterator[_Job]:
        content = header.content or 0
        # Before anything is decoded: what a header promises would be allocated.
        self._check_room(content)
        size = self._size(header, content) if 0 < content <= _WHOLE else None
        if size is None:
            for output in self._stream(header):
                yield self._job(_copied(output), len(output), 2 * len(output), room=len(output))
            return
        frame = self._input.take(size)
        known = self._known_zeros.get(frame) if size <= _SHORT else None
        if known:
            yield self._job(_given(known), known, 0)
        else:
            yield self._job(lambda room: self._whole(frame, room), content, content + size, room=content)

    def _job(self, decode: Callable[[memoryview], _Part], length: int, size: int, room: int = 0) -> _Job:
        self._check_room(length)
        job = _Job(self.offset, decode, size, room)
        self.offset += length
        return job

    def _check_room(self, length: int) -> None:
        if length > self._length - self.offset:
            raise LengthError(f"decompresses to more than the {self._length} bytes it should have")

    def _size(self, header: FrameHeader, content: int) -> int | None:
        """The bytes of a frame, of which nothing is taken; None for one that is too long to be kept in memory.

        A frame may legally consist of any number of empty blocks. FormatError for one whose blocks cannot hold what its
        head promises, which would be allocated.
        """
        most = content + content // 64 + 64 * KIB
        size, room, last = header.size, 0, False
        while not last:
            last, length = block_header(self._input.peek(3, size))
            size, room = size + length, room + LARGEST_BLOCK
            if size > most:
                return None
        if content > room:
            raise FormatError("the compressed data is damaged (a frame promises more than its blocks can hold)")
        return size + (4 if header.checksum else 0)

    def _stream(self, header: FrameHeader) -> Iterator[bytes]:
        """Decode a frame in steps of about `_STEP` bytes of output, taking one block after the other."""
        decoder = zstandard.ZstdDecompressor(max_window_size=self._max_window).decompressobj()
        outputs, length = [], 0
        try:
            for part in self._parts(header):
                outputs.append(decoder.decompress(part))
                length += len(outputs[-1])
                self._check_room(length)
                if length >= _STEP:
                    yield b"".join(outputs)
                    outputs, length = [], 0
        except zstandard.ZstdError as error:
            raise _failure(error, header.window) from error
        if not decoder.eof:
            raise FormatError(CUT_OFF)
        if length:
            yield b"".join(outputs)

    def _parts(self, header: FrameHeader) -> Iterator[bytes]:
        """The bytes of one frame, in steps of a block."""
        yield self._input.take(header.size)
        last = False
        while not last:
            last, length = block_header(self._input.peek(3))
            yield self._input.take(length)
        if header.checksum:
            yield self._input.take(4)

    def _whole(self, frame: bytes, room: memoryview) -> _Part:
        """Runs in a decoder: decode one complete frame, which fills the room."""
        if not hasattr(self._local, "decoder"):
            self._local.decoder = zstandard.ZstdDecompressor(max_window_size=self._max_window)
        try:
            # Told to read all of it at once, the library decodes right into the room. The second read checks the end.
            with self._local.decoder.stream_reader(frame, read_size=len(frame)) as reader:
                length = reader.readinto(room)
                more = reader.read(1)
        except zstandard.ZstdError as error:
            raise _failure(error, len(room)) from error
        if length != len(room) or more:
            raise FormatError(CUT_OFF)
        if len(frame) <= _SHORT and _only_zeros(room):
            if len(self._known_zeros) < _MOST_REMEMBERED:
                self._known_zeros[frame] = length
            return len(room)
        return room


def _given(part: _Part) -> Callable[[memoryview], _Part]:
    return lambda _room: part


def _copied(output: bytes) -> Callable[[memoryview], _Part]:
    """Decoded already, and to be where it can be worked on like anything else."""

    def copy(room: memoryview) -> _Part:
        room[:] = output
        return room

    return copy


class _Stages(Generic[_Result]):
    """The threads through which jobs go, so many of each kind, and the memory that they use."""

    def __init__(self, work: Callable[[Iterator[Piece]], _Result], count: int) -> None:
        self._work = work
        self._decoders = ThreadPoolExecutor(count, thread_name_prefix="unzstd")
        self._workers = ThreadPoolExecutor(count, thread_name_prefix="unzstd-work")
        self._memory = ReusedMemory()

    def begin(self, job: _Job) -> Future[Future[_Result]]:
        """Have a job decoded, then worked on."""
        return self._decoders.submit(self._decode, job)

    def end(self) -> None:
        """Wait until no thread runs any more. What they have not begun is not done."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(cancel_futures=True)  # what is still being decoded is refused from now on
        self._decoders.shutdown()

    def _decode(self, job: _Job) -> Future[_Result]:
        """Runs in a decoder, and lends the memory on to a worker."""
        with ExitStack() as stack:
            part = job.decode(stack.enter_context(self._memory.lent(job.room, job.offset)))
            pieces = [Piece(job.offset, part, None)] if isinstance(part, int) else list(_pieces(part, job.offset))
            return self._workers.submit(self._finish, pieces, stack.pop_all())

    def _finish(self, pieces: list[Piece], lent: ExitStack) -> _Result:
        with lent:
            return self._work(iter(pieces))


def _parallel(jobs: Iterator[_Job], stages: _Stages[_Result], *, ahead: int) -> Iterator[_Result]:
    """Do the jobs, up to so many of them ahead of the one whose result comes next, and yield the results in order."""
    waiting: deque[tuple[Future[Future[_Result]], int]] = deque()
    in_work = 0
    for job in jobs:
        while waiting and (len(waiting) > ahead or in_work + job.size > _HELD):
            in_work -= waiting[0][1]
            yield waiting.popleft()[0].result().result()
        waiting.append((stages.begin(job), job.size))
        in_work += job.size
    while waiting:
        yield waiting.popleft()[0].result().result()


def _pieces(view: memoryview, offset: int) -> Iterator[Piece]:
    """Split output into runs of zeros and runs of data, in steps of the grain."""
    start, run_is_zero = 0, False
    for at in range(0, len(view), _GRAIN):
        zero = is_zero(view[at : at + _GRAIN], _ZEROS)
        if at > start and zero != run_is_zero:
            yield Piece(offset + start, at - start, None if run_is_zero else view[start:at])
            start = at
        run_is_zero = zero
    if len(view) > start:
        yield Piece(offset + start, len(view) - start, None if run_is_zero else view[start:])


def _only_zeros(view: memoryview) -> bool:
    return all(is_zero(view[at : at + _GRAIN], _ZEROS) for at in range(0, len(view), _GRAIN))


def _failure(error: zstandard.ZstdError, wanted: int) -> TwinrootError:
    """What is wrong where the library fails to decode a frame that takes `wanted` bytes of memory."""
    if _NO_MEMORY not in str(error):
        return FormatError(f"the compressed data is damaged ({error})")
    message = f"decompressing it takes {exact(wanted)} of memory, which cannot be had here"
    return HostError(message, hint="read it where there is more, or compress the image with a smaller window")
