"""Writing an image to a target: exactly its contents, only what differs, and never trusted when it is damaged."""

from __future__ import annotations

import os
import random
import resource
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.memory import little_resident_memory
from tests.unit.agent.small_cosi import write_cosi

from twinroot.agent.stream import Written, write_image
from twinroot.errors import FormatError, HostError
from twinroot.formats.cosi.reader import open_cosi
from twinroot.units import KIB, MIB

NOISE = random.Random(1).randbytes(3 * MIB)
CONTENTS = {
    "empty": b"",
    "zeros": bytes(2 * MIB),
    "noise": NOISE,
    "mixed": bytes(MIB) + NOISE[: MIB + 4 * KIB] + bytes(700 * KIB) + b"end" + bytes(1021),
    "one block": b"x" * 4096,
}
TARGETS: dict[str, Callable[[int], bytes]] = {
    "hole": lambda size: b"",
    "zeros": bytes,
    "ones": lambda size: b"\xff" * size,
}


def deploy(cosi: Path, target: Path, *, unread_zeros: bool = False) -> Written:
    with open_cosi(cosi) as file:
        return write_image(file, file.metadata.images[0].image, target, unread_zeros=unread_zeros)


@pytest.mark.parametrize("behind", [0, 5 * KIB])
@pytest.mark.parametrize("before", TARGETS)
@pytest.mark.parametrize("content", CONTENTS)
def test_the_target_holds_the_contents_and_a_second_time_nothing_is_written(
    tmp_path: Path, content: str, before: str, behind: int
) -> None:
    data = CONTENTS[content]
    cosi, target = write_cosi(tmp_path / "a.cosi", data), tmp_path / "target"
    target.write_bytes(TARGETS[before](len(data) + behind))
    os.truncate(target, len(data) + behind)
    rest = target.read_bytes()[len(data) :]
    first = deploy(cosi, target)
    assert first.written + first.kept == len(data)
    assert target.read_bytes() == data + rest
    assert deploy(cosi, target) == Written(0, len(data))
    deploy(cosi, target, unread_zeros=True)
    assert target.read_bytes() == data + rest


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    cosi, target = write_cosi(tmp_path / "a.cosi", NOISE), tmp_path / "target"
    changed = bytearray(NOISE)
    changed[5] ^= 1
    changed[2 * MIB + 70 * KIB] ^= 1
    target.write_bytes(changed)
    assert deploy(cosi, target) == Written(128 * KIB, len(NOISE) - 128 * KIB)
    assert target.read_bytes() == NOISE


@pytest.mark.parametrize("before", TARGETS)
@pytest.mark.parametrize("start", [0, 5, 4 * KIB])
def test_long_zeros_are_made_by_a_target_that_can(tmp_path: Path, before: str, start: int) -> None:
    data = NOISE[:777] + bytes(9 * MIB) + NOISE[: 70 * KIB] + bytes(300 * KIB) + b"end"
    cosi, target = write_cosi(tmp_path / "a.cosi", data), tmp_path / "target"
    old = b"old!!"[:start].ljust(start, b"!") + TARGETS[before](len(data)).ljust(len(data), b"\0") + b"behind"
    target.write_bytes(old)
    with open_cosi(cosi) as file:
        image = file.metadata.images[0].image
        done = write_image(file, image, target, start=start, size=len(data), unread_zeros=True)
    assert target.read_bytes() == old[:start] + data + b"behind"
    assert done.written + done.kept == len(data) and done.written >= 8 * MIB
    assert target.stat().st_blocks * 512 < 2 * MIB


def test_a_step_that_differs_where_it_is_looked_at_is_written_unread(tmp_path: Path) -> None:
    """A step of 1 MiB, that is; where a look finds what should be there, all of it is read."""
    data = NOISE * 3
    cosi, target = write_cosi(tmp_path / "a.cosi", data), tmp_path / "target"
    old = bytearray(b"\xff" * len(data))
    kept = [
        slice(MIB + 64 * KIB, MIB + 512 * KIB),  # between the looks, and so not found
        slice(2 * MIB, 2 * MIB + 100 * KIB),
        slice(3 * MIB + 512 * KIB, 3 * MIB + 600 * KIB),
        slice(5 * MIB - 70 * KIB, 5 * MIB),
        slice(7 * MIB, len(data)),
    ]
    for place in kept:
        old[place] = data[place]
    target.write_bytes(old)
    done = deploy(cosi, target)
    assert target.read_bytes() == data
    assert done == Written(7 * MIB - 3 * 64 * KIB, 2 * MIB + 3 * 64 * KIB)
    assert deploy(cosi, target) == Written(0, len(data))


def test_contents_in_a_file_with_small_holes_are_found(tmp_path: Path) -> None:
    """Zeros of a few blocks are no zeros for us, but may be holes of the target."""
    data = bytearray(NOISE)
    data[100 * KIB : 108 * KIB] = bytes(8 * KIB)
    data[MIB : MIB + 4 * KIB] = bytes(4 * KIB)
    cosi, target = write_cosi(tmp_path / "a.cosi", bytes(data)), tmp_path / "target"
    with target.open("wb") as file:
        for start, end in ((0, 100 * KIB), (108 * KIB, MIB), (MIB + 4 * KIB, len(data))):
            os.pwrite(file.fileno(), data[start:end], start)
    assert deploy(cosi, target) == Written(0, len(data))


def test_what_is_written_does_not_fill_the_cache(tmp_path: Path) -> None:
    data = NOISE * 4 + b"end"
    cosi = write_cosi(tmp_path / "a.cosi", data)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # on a disk
        target = Path(place) / "target"
        target.touch()
        os.truncate(target, len(data) + 5 * KIB)
        assert deploy(cosi, target) == Written(len(data), 0)
        with target.open("rb") as file, pytest.raises(BlockingIOError):
            os.preadv(file.fileno(), [bytearray(4096)], MIB, os.RWF_NOWAIT)
        assert target.read_bytes() == data + bytes(5 * KIB)


def test_a_target_without_a_disk(tmp_path: Path) -> None:
    """A filesystem in memory, which older kernels cannot write to past their cache."""
    cosi = write_cosi(tmp_path / "a.cosi", NOISE)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        target = Path(place) / "target"
        target.write_bytes(b"\xff" * len(NOISE))
        assert deploy(cosi, target) == Written(len(NOISE), 0)
        assert target.read_bytes() == NOISE


def test_whoever_listens_may_end_it(tmp_path: Path) -> None:
    cosi, target = write_cosi(tmp_path / "a.cosi", NOISE * 10), tmp_path / "target"
    target.write_bytes(bytes(10 * len(NOISE)))
    before = threading.active_count()

    def enough(_done: int) -> None:
        raise KeyboardInterrupt

    with open_cosi(cosi) as file, pytest.raises(KeyboardInterrupt):
        write_image(file, file.metadata.images[0].image, target, advance=enough)
    assert threading.active_count() == before


def test_long_frames_do_not_pile_up(tmp_path: Path) -> None:
    """At high levels a frame holds 32 MiB."""
    size = 160 * MIB
    cosi, target = write_cosi(tmp_path / "a.cosi", b"pattern " * (size // 8), 9), tmp_path / "target"
    target.touch()
    os.truncate(target, size)
    with little_resident_memory(100 * MIB):
        assert deploy(cosi, target) == Written(size, 0)


def test_progress_comes_in_order_and_reaches_the_end(tmp_path: Path) -> None:
    cosi, target = write_cosi(tmp_path / "a.cosi", CONTENTS["mixed"]), tmp_path / "target"
    target.write_bytes(bytes(len(CONTENTS["mixed"])))
    seen: list[int] = []
    with open_cosi(cosi) as file:
        write_image(file, file.metadata.images[0].image, target, advance=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENTS["mixed"])


def test_a_target_that_is_too_small_is_not_touched(tmp_path: Path) -> None:
    cosi, target = write_cosi(tmp_path / "a.cosi", NOISE), tmp_path / "target"
    target.write_bytes(b"old" * 100)
    with pytest.raises(FormatError, match=r"but .* has only 300"):
        deploy(cosi, target)
    assert target.read_bytes() == b"old" * 100


def test_a_write_that_fails_is_said_and_ends_the_writing(tmp_path: Path) -> None:
    cosi, target = write_cosi(tmp_path / "a.cosi", NOISE), tmp_path / "target"
    target.write_bytes(bytes(len(NOISE)))
    before, (soft, hard) = threading.active_count(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        with pytest.raises(HostError, match=r"target: File too large"):
            deploy(cosi, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert threading.active_count() == before
    assert deploy(cosi, target).written == len(NOISE) - MIB


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        deploy(write_cosi(tmp_path / "a.cosi", b"x" * 4096), tmp_path / "absent")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 255))
def test_any_flipped_byte_of_the_image_is_an_error(tmp_path: Path, place: int, flip: int) -> None:
    data = CONTENTS["mixed"]
    cosi, target = write_cosi(tmp_path / "a.cosi", data), tmp_path / "target"
    with open_cosi(cosi) as file:
        member = file.member(file.metadata.images[0].image)
    damaged = bytearray(cosi.read_bytes())
    damaged[member.data + place % member.size] ^= flip
    cosi.write_bytes(damaged)
    target.write_bytes(bytes(len(data)))
    with pytest.raises(FormatError):
        deploy(cosi, target)


@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_truncated_file_is_an_error(tmp_path: Path, left: int) -> None:
    data = CONTENTS["mixed"]
    cosi, target = write_cosi(tmp_path / "a.cosi", data), tmp_path / "target"
    with open_cosi(cosi) as file:
        member = file.member(file.metadata.images[0].image)
    target.write_bytes(bytes(len(data)))
    with open_cosi(cosi) as file:
        os.truncate(cosi, member.data + left % member.size)
        with pytest.raises(FormatError, match="cut off"):
            write_image(file, file.metadata.images[0].image, target)
