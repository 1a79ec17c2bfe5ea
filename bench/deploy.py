"""Bringing a COSI file onto targets as an update does it, against the slowest of the things that must be done.

The limit is measured in the same run: decoding all frames on all cores, SHA-384 of the compressed bytes, and writing
what is not zero with one fsync for each image. An update with the image that is there already must write nothing.

Run as a program it deploys once and prints what that took: python -m bench.deploy COSI FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import zstandard
from bench.peak_memory import PeakMemory

from twinroot.agent.storage.deploy import deploy
from twinroot.agent.storage.deploy_plan import Deployment, ImageWrite
from twinroot.formats.cosi.model import ImageFile
from twinroot.formats.cosi.reader import CosiFile, open_cosi
from twinroot.formats.zstd_headers import SKIPPABLE_MAGIC, parse_frame_header

_ROUNDS = 5


@dataclass(frozen=True)
class Deployed:
    """One deployment: seconds, bytes of images written, bytes that the kernel counts as written, peak memory in MiB."""

    seconds: float
    written: int
    counted: int
    peak_mib: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Seconds that each of the things takes that must be done, and processor seconds that all of them take together.

    These, divided among all cores, are a limit too: nothing that does it all can be quicker.
    """

    decoding: float
    hashing: float
    writing: float
    processor: float


def measure(cosi: Path, scratch: Path) -> tuple[float, int, float]:
    """A deployment in terms of the slowest limit; bytes written by one of the same image again; peak memory in MiB.

    In turn, and the quickest of each kind: whatever disturbs a run only ever makes it slower.
    """
    limits, first, again = [], [], []
    for number in range(_ROUNDS):
        folder = scratch / f"deployed{number}"
        folder.mkdir()
        limits.append(_limits(cosi, folder))
        _targets(cosi, folder)
        first.append(_deploy_apart(cosi, folder))
        for path in folder.iterdir():
            # Reading a file whose contents are newer than its last access would write its inode.
            os.utime(path, (time.time() + 1, path.stat().st_mtime))
        again.append(_deploy_apart(cosi, folder))
        for path in folder.iterdir():
            path.unlink()
    slowest = max(
        min(each.decoding for each in limits),
        min(each.hashing for each in limits),
        min(each.writing for each in limits),
    )
    together = min(each.processor for each in limits) / len(os.sched_getaffinity(0))
    quickest = min(each.seconds for each in first)
    print(f"deploying: {[round(each.seconds, 2) for each in first]} s; limits {limits}")
    print(f"deploying: {quickest:.2f} s, for all cores {together:.2f} s of work, slowest part {slowest:.2f} s")
    peak = max(each.peak_mib for each in (*first, *again))
    return quickest / slowest, max(each.written + each.counted for each in again), peak


def _images(cosi: CosiFile) -> list[ImageFile]:
    return [filesystem.image for filesystem in cosi.metadata.images]


def _targets(cosi: Path, folder: Path) -> None:
    """Empty files in place of partitions."""
    with open_cosi(cosi) as file:
        for index, image in enumerate(_images(file)):
            path = folder / str(index)
            path.unlink(missing_ok=True)
            path.touch()
            os.truncate(path, image.uncompressed_size)


def _deploy_apart(cosi: Path, folder: Path) -> Deployed:
    """Deploy in a process of its own, to see its memory."""
    argv = [sys.executable, "-m", "bench.deploy", str(cosi), str(folder)]
    os.sync()  # What others wrote before is not to be waited for by us.
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        memory = PeakMemory(process.pid)
        assert process.stdout is not None
        found = process.stdout.read()
        if process.wait():
            raise SystemExit("the deployment failed")
    return Deployed(**json.loads(found), peak_mib=memory.stop())


def _deploy_once(cosi: Path, folder: Path) -> Deployed:
    with open_cosi(cosi) as file:
        writes = [
            ImageWrite(image, str(index), folder / str(index), grow=False) for index, image in enumerate(_images(file))
        ]
        before, started = _counted(), time.monotonic()
        done = deploy(file, Deployment(tuple(writes), (), (), ()))
        return Deployed(time.monotonic() - started, done.written, _counted() - before)


def _counted() -> int:
    """Bytes that this process caused to be written to disks (proc(5))."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def _limits(cosi: Path, folder: Path) -> Limits:
    """The compressed bytes come from memory, and nothing is kept of what is decoded but for writing."""
    with open_cosi(cosi) as file:
        images = [(image, b"".join(file.open_image(image))) for image in _images(file)]
        frames = [frame for _, data in images for frame in _frames(data)]
        started, before = time.monotonic(), time.process_time()
        for _, data in images:
            hashlib.sha384(data).hexdigest()
        hashing = time.monotonic() - started
        started = time.monotonic()
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for _ in pool.map(_decode, frames):
                pass
        decoding, processor = time.monotonic() - started, time.process_time() - before
        written = [_write(file, image, folder / f"plain{index}") for index, (image, _) in enumerate(images)]
    writing, processor = sum(each[0] for each in written), processor + sum(each[1] for each in written)
    return Limits(decoding, hashing, writing, processor)


def _decode(frame: bytes) -> None:
    zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(frame)


def _frames(data: bytes) -> Iterator[bytes]:
    """The frames of an image, cut without decoding (RFC 8878, section 3.1.1)."""
    at = 0
    while at < len(data):
        magic, size = struct.unpack_from("<II", data, at)
        if magic & 0xFFFFFFF0 == SKIPPABLE_MAGIC:
            at += 8 + size
            continue
        header = parse_frame_header(data[at : at + 18], 27)
        end, last = at + header.size, False
        while not last:
            block = int.from_bytes(data[end : end + 3], "little")
            last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
            end += 3 + (1 if kind == 1 else size)
        end += 4 if header.checksum else 0
        yield data[at:end]
        at = end


def _write(cosi: CosiFile, image: ImageFile, target: Path) -> tuple[float, float]:
    """Seconds, and processor seconds, for what is not zero, from memory, with one fsync."""
    pieces = [(piece.offset, piece.data) for piece in cosi.decompress(image) if piece.data is not None]
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.truncate(fd, image.uncompressed_size)
        os.sync()
        started, before = time.monotonic(), time.process_time()
        for offset, data in pieces:
            while data:
                done = os.pwrite(fd, data, offset)
                data, offset = data[done:], offset + done
        os.fsync(fd)
        return time.monotonic() - started, time.process_time() - before
    finally:
        os.close(fd)
        target.unlink()


if __name__ == "__main__":
    result = _deploy_once(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps({"seconds": result.seconds, "written": result.written, "counted": result.counted}))
