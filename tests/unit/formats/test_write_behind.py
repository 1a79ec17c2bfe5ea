"""Writing by a thread: everything arrives, and errors come out."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from twinroot.formats.write_behind import WriteBehind


def test_pieces_arrive_at_their_places_in_order(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        with WriteBehind(descriptor) as behind:
            behind.write([(0, [b"first"]), (10, [bytearray(b"sec"), b"", memoryview(b"ond")])])
            behind.write([(3, [b"later"])])
            behind.write([])
            behind.wait()
            assert os.pread(descriptor, 100, 0) == b"firlater\0\0second"
    finally:
        os.close(descriptor)


def test_an_error_is_raised_by_the_next_call_and_once() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with WriteBehind(descriptor) as behind:
            behind.write([(0, [b"data"])])
            with pytest.raises(OSError) as raised:
                behind.write([(4, [b"more"])])
            assert raised.value.errno == errno.ENOSPC
            behind.wait()
    finally:
        os.close(descriptor)


def test_leaving_waits_for_what_was_begun(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(KeyError), WriteBehind(descriptor) as behind:
            behind.write([(0, [bytes(8 << 20)])])
            raise KeyError
        assert os.fstat(descriptor).st_size == 8 << 20
    finally:
        os.close(descriptor)


def test_a_piece_of_very_many_parts(tmp_path: Path) -> None:
    parts = [b"%d," % number for number in range(5000)]
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        with WriteBehind(descriptor) as behind:
            behind.write([(7, parts)])
        assert os.pread(descriptor, 100_000, 0) == bytes(7) + b"".join(parts)
    finally:
        os.close(descriptor)


def test_what_is_written_in_part_is_gone_on_with(tmp_path: Path) -> None:
    """A file may grow only up to a limit: the part that fits is written, and the rest is an error."""
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with WriteBehind(descriptor) as behind:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
            behind.write([(0, [b"seven b", b"ytes", b"and more"])])
            with pytest.raises(OSError) as raised:
                behind.wait()
        assert raised.value.errno == errno.EFBIG
        assert os.pread(descriptor, 100, 0) == b"seven byte"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        os.close(descriptor)
