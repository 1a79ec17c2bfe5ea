"""What is left of a disk after a power cut, with the log that QEMU's own driver writes."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from tests.vm.write_log import last_flush, read_log, replay

from twinroot.units import MIB

KIB = 1024


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(8 * MIB)
        file.write(b"o" * 64 * KIB)
    (tmp_path / "log").touch()
    base = ["-b", str(tmp_path / "disk"), "-F", "raw", str(tmp_path / "seen")]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *base], check=True)
    return tmp_path


def write(place: Path, *commands: str) -> None:
    """Carry out commands of qemu-io, which is killed after them."""
    nodes = {
        "driver": "blklogwrites",
        "discard": "unmap",
        "file": {"driver": "qcow2", "discard": "unmap", "file": {"driver": "file", "filename": str(place / "seen")}},
        "log": {"driver": "file", "filename": str(place / "log")},
    }
    argv = [
        "qemu-io",
        "-t",
        "writeback",
        *(word for command in commands for word in ("-c", command)),
        "-c",
        "sigraise 9",
    ]
    subprocess.run([*argv, f"json:{json.dumps(nodes)}"], check=False, capture_output=True)


def content(place: Path, offset: int, length: int = 4 * KIB) -> bytes:
    with (place / "disk").open("rb") as file:
        file.seek(offset)
        return file.read(length)


def test_flushed_writes_are_there_and_others_are_lost(place: Path) -> None:
    write(place, "aio_write -P 1 0 4k", "aio_flush", "flush", "write -P 2 4k 4k", "write -P 3 0 4k")
    replay(place / "log", place / "disk")
    assert content(place, 0) == b"\x01" * 4 * KIB
    assert content(place, 4 * KIB) == b"o" * 4 * KIB


def test_nothing_flushed_is_nothing_written(place: Path) -> None:
    before = (place / "disk").read_bytes()
    write(place, "write -P 1 0 4k")
    replay(place / "log", place / "disk")
    assert (place / "disk").read_bytes() == before


def test_zeros_and_discards(place: Path) -> None:
    write(place, "write -z 0 8k", "discard 16k 8k", "write -P 4 1M 5M", "flush")
    replay(place / "log", place / "disk")
    expected = b"\0" * 8 * KIB + b"o" * 8 * KIB + b"\0" * 8 * KIB + b"o" * 40 * KIB
    assert content(place, 0, 64 * KIB) == expected
    assert content(place, MIB, 5 * MIB) == b"\x04" * 5 * MIB
    assert (place / "disk").stat().st_size == 8 * MIB


def test_writes_after_the_last_flush_may_survive_each_by_itself(place: Path) -> None:
    write(place, "flush", *(f"write -P {number} {number * 4}k 4k" for number in range(1, 16)))
    requests = read_log(place / "log")
    assert len([each for each in requests[last_flush(requests) :] if each.length]) == 15
    replay(place / "log", place / "disk", random.Random(7))
    there = {content(place, number * 4 * KIB) == bytes([number]) * 4 * KIB for number in range(1, 16)}
    assert there == {True, False}


def test_a_write_that_was_cut_off_is_there_in_part(place: Path) -> None:
    write(place, "flush", "write -P 1 0 8k")
    last = read_log(place / "log")[-1]
    assert last.data is not None
    with (place / "log").open("r+b") as log:
        log.truncate(last.data + 4 * KIB)
    replay(place / "log", place / "disk", random.Random(1))
    assert content(place, 0, 8 * KIB) in (b"\x01" * 4 * KIB + b"o" * 4 * KIB, b"o" * 8 * KIB)
    every = random.Random()
    every.random = lambda: 0.0  # type: ignore[method-assign]
    replay(place / "log", place / "disk", every)
    assert content(place, 0, 8 * KIB) == b"\x01" * 4 * KIB + b"o" * 4 * KIB


def test_an_empty_log(place: Path) -> None:
    replay(place / "log", place / "disk")
    assert read_log(place / "log") == []
