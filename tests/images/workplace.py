"""A place to customise in, and the proof that a run left nothing behind in it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.images import Finished, command

HOSTNAME_ONLY = "os:\n  hostname: changed\n"


@dataclass(frozen=True)
class Workplace:
    """Directories of one test: `build` is the build directory, `out` holds nothing but the output."""

    root: Path
    counter: list[int] = field(default_factory=list)

    @property
    def build(self) -> Path:
        """The build directory."""
        return self.root / "build"

    @property
    def out(self) -> Path:
        """The directory of outputs, made when first asked for."""
        path = self.root / "out"
        path.mkdir(exist_ok=True)
        return path

    def config(self, text: str) -> Path:
        """A config file with this text."""
        self.counter.append(1)
        path = self.root / f"config-{len(self.counter)}.yaml"
        path.write_text(text)
        return path

    def arguments(
        self, base: Path, config: str, *extra: object, output: Path | None = None, output_format: str = "raw"
    ) -> list[object]:
        """The command line of a run."""
        return [
            "--build-dir", self.build, "--config-file", self.config(config), "--image-file", base,
            "--output-image-file", output or self.out / "image", "--output-image-format", output_format, *extra,
        ]  # fmt: skip

    def run(
        self, base: Path, config: str = HOSTNAME_ONLY, *extra: object, output: Path | None = None,
        output_format: str = "raw", env: Mapping[str, str] | None = None,
    ) -> Finished:  # fmt: skip
        """Run `imagecustomizer` to its end."""
        arguments = self.arguments(base, config, *extra, output=output, output_format=output_format)
        return command("imagecustomizer", *arguments, env=dict(env or {}))

    def succeeds(self, base: Path, config: str = HOSTNAME_ONLY, *extra: object, output_format: str = "raw") -> Path:
        """Run, and demand success; the output."""
        done = self.run(base, config, *extra, output_format=output_format)
        assert done.code == 0, done.stderr
        self.check_clean()
        return self.out / "image"

    def fails(
        self, base: Path, config: str = HOSTNAME_ONLY, *extra: object, says: Sequence[str],
        env: Mapping[str, str] | None = None, output_format: str = "raw",
    ) -> str:  # fmt: skip
        """Run, and demand a clear error that holds every text of `says`, and that nothing is left; standard error."""
        done = self.run(base, config, *extra, env=env, output_format=output_format)
        check_refused(done, says)
        assert list(self.out.iterdir()) == [], done.stderr
        self.check_clean()
        return done.stderr

    def check_clean(self) -> None:
        """No scratch folder; and, at the latest in a moment, no process, mount or loop device of a run."""
        assert not (self.build / "scratch").exists()
        self.check_quiet()

    def check_quiet(self) -> None:
        """At the latest in a moment: no process, mount or loop device that has to do with this place."""
        deadline = time.monotonic() + 15
        while (left := traces(str(self.root))) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left


def check_refused(done: Finished, says: Sequence[str]) -> None:
    """Exit code 1 and an error that a person understands."""
    assert done.code == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.split("image customization failed", 1)
    assert len(last) == 2, done.stderr
    for text in says:
        assert text in done.stderr


def run_on_small_disk(
    place: Workplace, directory: Path, options: str, base: Path, config: str = HOSTNAME_ONLY, *extra: object,
    output_format: str = "raw",
) -> Finished:  # fmt: skip
    """Run with a filesystem in memory mounted at `directory` only for the run; what is in it ends standard error."""
    directory.mkdir(exist_ok=True)
    place.out.mkdir(exist_ok=True)
    arguments = place.arguments(base, config, *extra, output_format=output_format)
    words = [sys.executable, "-m", "twinroot.cli.imagecustomizer", *map(str, arguments)]
    quoted = shlex.quote(str(directory))
    script = (
        f"mount -t tmpfs -o {options} tmpfs {quoted} && {shlex.join(words)}; code=$?; ls -A {quoted} >&2; exit $code"
    )
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def traces(place: str) -> list[str]:
    """Processes that name or use a place, mounts of it in any namespace, loop devices of files in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            mounts = (process / "mountinfo").read_text()
            links = [str((process / name).readlink()) for name in ("cwd", "root")]
        except OSError:
            continue
        if place in line or any(link.startswith(place) for link in links):
            found.append(f"process {process.name}: {line}")
        found += [f"mount in {process.name}: {row}" for row in mounts.splitlines() if place in row]
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if place in (name := backing.read_text()):
                found.append(f"{backing.parent.parent.name}: {name}")
        except OSError:
            continue
    return found
