"""Threads that read and write images have ended before their caller goes on, whatever ends the work."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from tests.unit.formats.small_file import opened, written

from twinroot.errors import FormatError
from twinroot.formats.write_behind import WriteBehind
from twinroot.formats.zstd_reader import Piece, process
from twinroot.units import MIB

__all__ = ["written"]


def interrupt_in(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_a_signal_does_not_end_the_wait_for_workers() -> None:
    frames = [zstandard.compress(bytes([number]) * MIB) for number in range(8)]
    steps: list[float] = []

    def work(pieces: Iterator[Piece]) -> int:
        if next(pieces).offset == 0:
            time.sleep(0.2)
            raise OSError("no room")
        for _ in range(10):
            time.sleep(0.05)
            steps.append(time.monotonic())
        return 0

    timer = interrupt_in(0.3)
    with pytest.raises(KeyboardInterrupt):
        list(process(frames, work, length=8 * MIB, threads=2))
    left = time.monotonic()
    timer.join()
    time.sleep(0.3)
    assert steps
    assert max(steps) < left
    assert len(steps) <= 20, "what nobody had begun was done all the same"


def test_a_signal_does_not_end_the_wait_for_the_writer(tmp_path: Path) -> None:
    count = 300_000
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    pieces = [(place, [b"x"]) for place in range(count)]
    timer = interrupt_in(0.05)
    with pytest.raises(KeyboardInterrupt), WriteBehind(descriptor) as behind:
        behind.write(pieces)
    assert os.fstat(descriptor).st_size == count
    os.close(descriptor)
    timer.join()


def test_a_damaged_image_leaves_no_thread(written: bytes) -> None:
    cosi = opened(written)
    image = max((each.image for each in cosi.metadata.images), key=lambda each: each.compressed_size)
    place = cosi.member(image).data + image.compressed_size // 2
    damaged = opened(written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :])
    before = threading.active_count()
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(FormatError):
                list(damaged.process(image, len_of))
        assert threading.active_count() == before
    finally:
        gc.enable()


def len_of(pieces: Iterator[Piece]) -> int:
    return sum(piece.length for piece in pieces)
