"""`make bench`: speed and memory of builder and agent, each figure beside its limit, both measured in this one run.

    python -m bench.run [--output bench/results.json]

Absolute times say little on shared machines, so every limit is a ratio against something measured on the same data in
the same run, or a bound with room to spare. Results go to bench/results.json together with what machine it was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import deploy, registry
from bench.peak_memory import PeakMemory

from twinroot.formats.cosi.reader import open_cosi

ROOT = Path(__file__).resolve().parent.parent
BASE = ROOT / "build/base/minimal-os.vhdx"
RPMS = ROOT / "build/repo/RPMS"
AGENT_RPMS = ROOT / "bin/RPMS/x86_64"
CONFIG = ROOT / "examples/ab-image.yaml"
# Work that belongs to the image's own programs, which nobody can make quicker from outside.
_FOREIGN = ("packages", "initramfs")
_ROUNDS = 4
_CHECKS = 10


@dataclass(frozen=True)
class Figure:
    """One measured figure. It is met when `value` is at most `limit`."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the figure keeps its limit."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Build:
    """One customisation: wall seconds in all and by phase, peak memory of our own process in MiB."""

    seconds: float
    phases: dict[str, float]
    peak_mib: float

    @property
    def own(self) -> float:
        """Seconds outside the image's package manager and dracut."""
        return self.seconds - sum(self.phases.get(name, 0.0) for name in _FOREIGN)

    @property
    def between(self) -> float:
        """Seconds outside all phases."""
        return self.seconds - sum(self.phases.values())


def quickest(builds: Sequence[Build]) -> Build:
    """Of builds of one kind the quickest of each phase, as whatever disturbs a phase only ever makes it slower."""
    phases = {name: min(found.phases[name] for found in builds) for name in builds[0].phases}
    between = min(found.between for found in builds)
    return Build(between + sum(phases.values()), phases, max(found.peak_mib for found in builds))


def build(config: Path, output: Path, build_dir: Path, *, cache: Path | None = None) -> Build:
    """Customise the stand-in base image to a COSI file and measure it from outside."""
    argv = [
        sys.executable, "-m", "twinroot.cli.imagecustomizer", "--log-format", "json", "--build-dir", build_dir,
        "--config-file", config, "--image-file", BASE, "--rpm-source", RPMS, "--rpm-source", AGENT_RPMS,
        "--disable-base-image-rpm-repos", "--output-image-format", "cosi", "--output-image-file", output,
        *(["--cache-dir", cache] if cache else []),
    ]  # fmt: skip
    os.sync()  # What others wrote before is not to be waited for by this build.
    started = time.monotonic()
    with subprocess.Popen([*map(str, argv)], stderr=subprocess.PIPE, text=True) as process:
        memory = PeakMemory(process.pid)
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr if line.startswith("{")]
        code = process.wait()
    seconds = time.monotonic() - started
    if code != 0:
        raise SystemExit(f"the build failed: {lines[-1]['msg'] if lines else 'no output'}")
    phases = {line["phase"]: line["seconds"] for line in lines if line.get("event") == "phase-finished"}
    return Build(seconds, phases, memory.stop())


def compress_with_zstd(cosi: Path, scratch: Path) -> float:
    """Seconds that `zstd -3 -T0` and one sha384 pass over its output take for the filesystem images of a COSI file.

    The empty partition is left out: zstd would spend most of its time on the zeros of a file that is one hole.
    """
    images = []
    with open_cosi(cosi) as file:
        for index, filesystem in enumerate(file.metadata.images):
            image, target = filesystem.image, scratch / f"{index}.img"
            with target.open("wb") as out:
                out.truncate(image.uncompressed_size)
                for piece in file.decompress(image):
                    if piece.data is not None:
                        os.pwrite(out.fileno(), piece.data, piece.offset)
            images.append(target)
    os.sync()
    started = time.monotonic()
    for path in images:
        compressed = path.with_suffix(".zst")
        subprocess.run(["zstd", "-3", "-T0", "-q", "-f", str(path), "-o", str(compressed)], check=True)
        subprocess.run(["sha384sum", str(compressed)], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def check_config() -> float:
    """Seconds that `validate-config` takes for the example, start-up of Python included; the best of several."""
    argv = [sys.executable, "-m", "twinroot.cli.imagecustomizer", "validate-config", "--config-file", str(CONFIG)]
    found = []
    for _ in range(_CHECKS):
        started = time.monotonic()
        subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
        found.append(time.monotonic() - started)
    return min(found)


def larger_config(scratch: Path) -> Path:
    """The example with root partitions of 40 GiB instead of 4 GiB."""
    text = CONFIG.read_text().replace("size: 4G", "size: 40G").replace("maxSize: 10G", "maxSize: 82G")
    path = scratch / "large.yaml"
    path.write_text(text)
    return path


def build_again(scratch: Path) -> Build:
    """The example with a cache that knows all of it but for its last step, a script that is another one each time."""
    warm = []
    for number in range(_ROUNDS + 1):
        path = scratch / "script.yaml"
        script = f"scripts: {{finalizeCustomization: [{{content: 'echo {number} > /etc/round'}}]}}"
        path.write_text(f"{CONFIG.read_text()}\n{script}\n")
        warm.append(build(path, scratch / "small.cosi", scratch / "build", cache=scratch / "cache"))
    if any(set(_FOREIGN) & set(found.phases) for found in warm[1:]):
        raise SystemExit("a build with a warm cache ran the package manager or dracut again")
    return min(warm[1:], key=lambda found: found.seconds)


def measure(scratch: Path) -> tuple[list[Figure], dict[str, Build]]:
    """Run everything in turn, several times; the builds by name, and the figures from the quickest of each kind."""
    builds = {"warm-up": build(CONFIG, scratch / "small.cosi", scratch / "build")}
    small: list[Build] = []
    large: list[Build] = []
    zstd: list[float] = []
    for number in range(1, _ROUNDS + 1):
        kinds = [("small.cosi", CONFIG, small), ("large.cosi", larger_config(scratch), large)]
        # Both kinds come first in some rounds: what ran before may have left the machine slower.
        for name, config, found in kinds if number % 2 else reversed(kinds):
            found.append(build(config, scratch / name, scratch / "build"))
        zstd.append(compress_with_zstd(scratch / "small.cosi", scratch))
        builds |= {f"4 GiB root, round {number}": small[-1], f"40 GiB root, round {number}": large[-1]}
    builds["with a warm cache"] = warm = build_again(scratch)
    pull, pull_peak = registry.measure(scratch)
    ratio, rewritten, deploy_peak = deploy.measure(scratch / "small.cosi", scratch)
    limit, best, largest = min(zstd), quickest(small), quickest(large)
    builds |= {"4 GiB root, quickest phases": best, "40 GiB root, quickest phases": largest}
    writing = best.phases["cosi"]
    whole = sum(best.phases[name] for name in ("filesystems", "shrink", "cosi"))
    figures = [
        Figure("images to COSI, against zstd -3 -T0 and sha384", writing / limit, 1.3, "ratio"),
        Figure("tree to COSI, against zstd -3 -T0 and sha384", whole / limit, 1.3, "ratio"),
        Figure("customise to COSI outside package manager and dracut", best.own, 25.0, "s"),
        Figure("build again whose last step changed, with --cache-dir", warm.seconds, 20.0, "s"),
        Figure("40 GiB root against 4 GiB root", largest.own / best.own, 1.15, "ratio"),
        Figure("pull, against curl and then sha256sum of the same blob", pull, 1 / 0.8, "ratio"),
        Figure("peak memory of a pull", pull_peak, 100.0, "MiB"),
        Figure("COSI to targets, against its slowest part", ratio, 1.3, "ratio"),
        Figure("written when the same image is there already", rewritten, 0, "bytes"),
        Figure("peak memory of a deployment", deploy_peak, 150.0, "MiB"),
        Figure("peak memory of our process", max(b.peak_mib for b in builds.values()), 300.0, "MiB"),
        Figure("validate-config of the example, start-up included", check_config(), 0.4, "s"),
    ]
    return figures, builds


def main() -> int:
    """Measure, print, write the results; 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results.json")
    options = parser.parse_args()
    scratch_root = ROOT / "build"
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch_root) as scratch:
        figures, builds = measure(Path(scratch))
    for name, found in builds.items():
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in found.phases.items())
        print(f"{name}: {found.seconds:.1f} s in all, {found.own:.1f} s of our own ({phases})")
    print()
    for figure in figures:
        verdict = "ok" if figure.met else "NOT MET"
        print(f"{figure.name:<56} {figure.value:8.2f} {figure.unit:<6} limit {figure.limit:g}   {verdict}")
    machine = {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    record = {
        "machine": machine,
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
        "builds": {name: asdict(found) for name, found in builds.items()},
    }
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
