"""A region as a sequence of independent zstd frames, compressed in parallel.

The region is cut into chunks of equal size, each becomes one frame with its content size and checksum (RFC 8878).
Any zstd decoder that reads across frames sees one stream (COSI spec rule C5); independence is what lets us compress
and decompress on all cores, and would let a reader resume or fetch a part. Chunks that are holes or hold only zeros
are never compressed: the frame for a chunk of zeros is made once and repeated.

Pipeline: worker threads read and compress (zstandard releases the GIL); the caller receives frames in order and
hashes and writes meanwhile. At most `2 x threads + 1` chunks are in flight. Leaving the iteration early, by an
exception or Ctrl-C, cancels what waits and stops what runs within one slice of `_SLICE` bytes.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType

import zstandard

from twinroot.errors import FormatError
from twinroot.formats.source import Reader, Source
from twinroot.units import KIB, MIB

MIN_LEVEL, MAX_LEVEL = 1, 22
# The decoder's own lower bound for its window limit (ZSTD_WINDOWLOG_ABSOLUTEMIN).
MIN_WINDOW_LOG = 10
# From this level on size counts for more than speed: chunks are large, matches are looked for across a whole chunk,
# and because that takes long, the chunk is fed in slices, to notice in between that we are to stop.
_SLOW_LEVEL = 9
# Each worker holds a chunk, its result and the compressor's tables; this keeps them below about 2 GiB.
_MOST_THREADS = 16
_SLICE = 256 * KIB


@dataclass(frozen=True)
class Frame:
    """One or several finished frames: `data` decompresses to `length` bytes. `zero` means: to zeros only."""

    data: bytes
    length: int
    zero: bool = False


@dataclass(frozen=True)
class _Chunk:
    offset: int
    length: int
    hole: bool


def chunk_size(level: int) -> int:
    """Bytes of input per frame at a level.

    Measured on a 4 GiB ext4 image with 660 MB of data: at level 3 chunks of 4 MiB cost 1 % in size against one frame
    and keep all cores busy. At level 9 chunks of 32 MiB with long-distance matching save 10 % over chunks of 4 MiB;
    one frame with a 128 MiB window, which cannot be made in parallel, would save another 5 %.
    """
    return 4 * MIB if level < _SLOW_LEVEL else 32 * MIB


class FrameCompressor:
    """Worker threads with their compressors, for any number of regions. Use as a context manager.

    `window_log` is the largest window exponent of all frames made so far, what COSI calls `maxWindowLog`.
    Raises FormatError for a level outside 1 to 22.
    """

    def __init__(self, level: int = 3, threads: int | None = None, chunk: int | None = None) -> None:
        if not MIN_LEVEL <= level <= MAX_LEVEL:
            raise FormatError(f"compression level {level} is outside of {MIN_LEVEL} to {MAX_LEVEL}")
        self.level = level
        self.chunk = chunk or chunk_size(level)
        self.threads = threads or min(available_threads(), _MOST_THREADS)
        self.window_log = MIN_WINDOW_LOG
        self._local = threading.local()
        self._stop = threading.Event()
        self._zeros = bytes(self.chunk)
        self._zero_frames: dict[int, bytes] = {}
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="zstd")

    def __enter__(self) -> FrameCompressor:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def frames(self, source: Source) -> Iterator[Frame]:
        """Compress a region; yields its frames in order. Raises FormatError or OSError when it cannot be read."""
        waiting: deque[Frame | Future[Frame]] = deque()
        with source.opened() as reader:
            try:
                for chunk in _chunks(reader, source.length, self.chunk):
                    waiting.append(
                        self._zero_frame(chunk.length)
                        if chunk.hole
                        else self._pool.submit(self._compress, reader, chunk)
                    )
                    while len(waiting) > 2 * self.threads:
                        yield self._finished(waiting.popleft())
                while waiting:
                    yield self._finished(waiting.popleft())
            finally:
                self._abandon(waiting)

    def _finished(self, item: Frame | Future[Frame]) -> Frame:
        frame = item if isinstance(item, Frame) else item.result()
        self.window_log = max(self.window_log, frame_window_log(frame.data))
        return frame

    def _abandon(self, waiting: deque[Frame | Future[Frame]]) -> None:
        """Let no worker touch the reader after it is closed."""
        futures = [item for item in waiting if isinstance(item, Future)]
        running = [future for future in futures if not future.cancel() and not future.done()]
        if running:
            self._stop.set()
            wait(running)
            self._stop.clear()

    def _compress(self, reader: Reader, chunk: _Chunk) -> Frame:
        """Runs in a worker: read, look for zeros, compress."""
        view = self._buffer()[: chunk.length]
        reader.read_into(view, chunk.offset)
        if is_zero(view, self._zeros):
            return self._zero_frame(chunk.length)
        return Frame(self._compress_bytes(view), chunk.length)

    def _compress_bytes(self, view: memoryview) -> bytes:
        compressor = self._compressor()
        if self.level < _SLOW_LEVEL:
            return compressor.compress(view)
        stream = compressor.compressobj(size=len(view))
        parts = []
        for start in range(0, len(view), _SLICE):
            if self._stop.is_set():
                raise CancelledError
            parts.append(stream.compress(view[start : start + _SLICE]))
        parts.append(stream.flush())
        return b"".join(parts)

    def _zero_frame(self, length: int) -> Frame:
        data = self._zero_frames.get(length)
        if data is None:
            # Two threads may both get here; they make the same bytes.
            data = zstandard.ZstdCompressor(level=min(self.level, 3), write_checksum=True).compress(
                self._zeros[:length]
            )
            self._zero_frames[length] = data
        return Frame(data, length, zero=True)

    def _compressor(self) -> zstandard.ZstdCompressor:
        if not hasattr(self._local, "compressor"):
            self._local.compressor = _new_compressor(self.level, self.chunk)
        compressor: zstandard.ZstdCompressor = self._local.compressor
        return compressor

    def _buffer(self) -> memoryview:
        if not hasattr(self._local, "buffer"):
            self._local.buffer = memoryview(bytearray(self.chunk))
        buffer: memoryview = self._local.buffer
        return buffer


def _new_compressor(level: int, chunk: int) -> zstandard.ZstdCompressor:
    if level < _SLOW_LEVEL:
        return zstandard.ZstdCompressor(level=level, write_checksum=True)
    window_log = max((chunk - 1).bit_length(), MIN_WINDOW_LOG)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=chunk, window_log=window_log, enable_ldm=True, write_checksum=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def available_threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def frame_window_log(frame: bytes) -> int:
    """The exponent of the window that decoding the first frame in `frame` needs."""
    window = int(zstandard.get_frame_parameters(frame).window_size)
    return max((window - 1).bit_length(), MIN_WINDOW_LOG)


def is_zero(view: memoryview | bytes, zeros: bytes) -> bool:
    """Whether `view` holds only zeros; `zeros` is a zero string at least as long. Usually decided by one byte."""
    if not view or view[0] or view[-1]:
        return not view
    return zeros.startswith(view)


def _chunks(reader: Reader, length: int, size: int) -> Iterator[_Chunk]:
    """Cut [0, length) into chunks; those that no data extent touches are holes."""
    extents = reader.extents()
    start, end = next(extents, (length, length))
    for offset in range(0, length, size):
        stop = min(offset + size, length)
        while end <= offset and start < length:
            start, end = next(extents, (length, length))
        yield _Chunk(offset, stop - offset, hole=start >= stop)
