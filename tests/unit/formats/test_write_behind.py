"""Writing by a thread: everything arrives, and errors come out."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from twinroot.formats.write_behind import WriteBehind


def test_pieces_arrive_at_their_places_in_order(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        with WriteBehind(descriptor) as behind:
            behind.write([(0, b"first"), (10, bytearray(b"second"))])
            behind.write([(3, b"later")])
            behind.write([])
            behind.wait()
            assert os.pread(descriptor, 100, 0) == b"firlater\0\0second"
    finally:
        os.close(descriptor)


def test_an_error_is_raised_by_the_next_call_and_once() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with WriteBehind(descriptor) as behind:
            behind.write([(0, b"data")])
            with pytest.raises(OSError) as raised:
                behind.write([(4, b"more")])
            assert raised.value.errno == errno.ENOSPC
            behind.wait()
    finally:
        os.close(descriptor)


def test_leaving_waits_for_what_was_begun(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(KeyError), WriteBehind(descriptor) as behind:
            behind.write([(0, bytes(8 << 20))])
            raise KeyError
        assert os.fstat(descriptor).st_size == 8 << 20
    finally:
        os.close(descriptor)
