"""The heads of zstd frames and of the blocks in them (RFC 8878, section 3.1.1), read without decoding anything."""

from __future__ import annotations

from dataclasses import dataclass

from twinroot.errors import FormatError
from twinroot.units import KIB

MAGIC = 0xFD2FB528
SKIPPABLE_MAGIC = 0x184D2A50
# What a block holds at most (Block_Maximum_Size, RFC 8878, section 3.1.1.2.3).
LARGEST_BLOCK = 128 * KIB
CUT_OFF = "the compressed data is cut off"


class WindowError(FormatError):
    """A frame asks for a larger window than is allowed."""


@dataclass(frozen=True)
class FrameHeader:
    """What the head of a zstd frame says. `content` is None if it does not tell its length."""

    size: int
    window: int
    content: int | None
    checksum: bool


def parse_frame_header(head: bytes | memoryview, max_window_log: int) -> FrameHeader:
    """Read a frame header (RFC 8878, 3.1.1.1) from at least 18 bytes after the frame's start, fewer at the end."""
    descriptor = head[4] if len(head) > 4 else 0
    single_segment = bool(descriptor & 0x20)
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    size = 5 + (not single_segment) + dictionary + content
    if len(head) < size:
        raise FormatError(CUT_OFF)
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


def block_header(head: bytes) -> tuple[bool, int]:
    """Whether a block is the last one, and its bytes with its head of three (RFC 8878, section 3.1.1.2)."""
    if len(head) < 3:
        raise FormatError(CUT_OFF)
    block = int.from_bytes(head, "little")
    return bool(block & 1), 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
