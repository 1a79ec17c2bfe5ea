"""A device that several threads write at once, not all of them whole pages: all gets there, and the sync is well."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinroot.agent.direct_file import DirectFile
from twinroot.formats.reused_memory import page_memory
from twinroot.units import KIB, MIB

_SIZE = 40 * MIB
_END = 32 * MIB - 12 * KIB  # a page, but not of those that the kernel likes to keep as one
_ROUNDS = 60


@pytest.fixture
def device(tmp_path: Path) -> Iterator[int]:
    """A loop device, open, of which much is read ahead."""
    (tmp_path / "disk").touch()
    os.truncate(tmp_path / "disk", _SIZE)
    argv = ["losetup", "--find", "--show", str(tmp_path / "disk")]
    name = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["blockdev", "--setra", "16384", name], check=True)
    fd = os.open(name, os.O_RDWR | os.O_CLOEXEC)
    yield fd
    os.close(fd)
    subprocess.run(["losetup", "--detach", name], check=True)


def test_a_neighbour_of_whole_pages_that_is_none(device: int) -> None:
    """Without turns one sync in six failed (Linux 6.18, whose cache keeps several pages as one)."""
    pages = memoryview(page_memory(_END))
    odd = memoryview(random.Random(1).randbytes(100))

    def neighbour(file: DirectFile) -> None:
        looked_at = memoryview(bytearray(64 * KIB))
        for place in range(_END - 2 * MIB, _END - 64 * KIB, 64 * KIB):
            file.read_into(looked_at[1:], place + 1)  # through the cache, which reads ahead
        file.write(odd, _END + 5)

    for number in range(_ROUNDS):
        pages[:: 64 * KIB] = bytes([number]) * len(pages[:: 64 * KIB])
        with DirectFile(device) as file:
            threads = [threading.Thread(target=file.write, args=(pages, 0))]
            threads.append(threading.Thread(target=neighbour, args=(file,)))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            file.sync()
        assert os.pread(device, _END, 0) == pages
        assert os.pread(device, 100, _END + 5) == odd


@pytest.mark.parametrize("place", [0, 1, 4095, 4096, 5000])
@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 3 * MIB + 5])
def test_any_place_and_length(device: int, place: int, length: int) -> None:
    data = memoryview(random.Random(length).randbytes(length))
    with DirectFile(device) as file:
        file.write(data, place)
        file.sync()
        assert os.pread(device, place, 0) == bytes(place)
        assert os.pread(device, length, place) == data
        assert os.pread(device, 4096, place + length) == bytes(4096)
        found = memoryview(page_memory(length + 4096))[place % 4096 :][:length]
        file.read_into(found, place)
        assert found == data


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    with (tmp_path / "file").open("r+b") as stream, DirectFile(stream.fileno()) as file, pytest.raises(OSError):
        file.read_into(memoryview(page_memory(8192)), 0)


def test_a_device_makes_zeros_by_itself(device: int) -> None:
    os.pwrite(device, b"\xff" * 8 * MIB, 0)
    with DirectFile(device) as file:
        assert file.zero_out(MIB, 6 * MIB)
        file.sync()
    assert os.pread(device, 8 * MIB, 0) == b"\xff" * MIB + bytes(6 * MIB) + b"\xff" * MIB


def test_what_makes_no_zeros_by_itself_says_so() -> None:
    fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    with DirectFile(fd) as file:
        assert not file.zero_out(0, MIB)
    os.close(fd)
