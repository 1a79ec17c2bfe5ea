"""Pulling from a registry on loopback, against `curl` and `sha256sum` one after the other on the same blob."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.peak_memory import PeakMemory
from tests.registry.servers import Registry, digest_of, docker_registry

_SIZE = 1 << 30
_ROUNDS = 3


def measure(scratch: Path) -> tuple[float, float]:
    """Seconds of a pull in terms of curl and sha256sum (the best of some rounds each), and its peak memory in MiB."""
    (scratch / "registry").mkdir()
    with docker_registry(scratch / "registry") as registry:
        data = os.urandom(1 << 20) * (_SIZE >> 20)
        digest = digest_of(data)
        registry.put_artifact("bench", "1", {"image.raw": data})
        del data
        plain, pulls, peaks = [], [], []
        for number in range(_ROUNDS):
            plain.append(_curl(registry, digest, scratch / "curl.raw"))
            (scratch / f"out{number}").mkdir()
            seconds, peak = _pull(registry, scratch / f"out{number}")
            pulls.append(seconds)
            peaks.append(peak)
            (scratch / f"out{number}/image.raw").unlink()
    return min(pulls) / min(plain), max(peaks)


def _curl(registry: Registry, digest: str, target: Path) -> float:
    target.unlink(missing_ok=True)
    started = time.monotonic()
    subprocess.run(["curl", "-s", "-o", target, f"http://{registry.host}/v2/bench/blobs/{digest}"], check=True)
    subprocess.run(["sha256sum", target], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def _pull(registry: Registry, directory: Path) -> tuple[float, float]:
    """Wall seconds and peak memory in MiB of `twinroot pull`."""
    argv = [sys.executable, "-m", "twinroot.cli.main", "pull", f"{registry.host}/bench:1", "-o", str(directory)]
    started = time.monotonic()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        memory = PeakMemory(process.pid)
        if process.wait():
            raise RuntimeError("twinroot pull failed")
    return time.monotonic() - started, memory.stop()
