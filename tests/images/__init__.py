"""The built base images, and running our commands as a user would: in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TWINROOT_BUILD", REPOSITORY / "build"))
BASE_RPM = BUILD / "base/minimal-os.vhdx"
BASE_DEB = BUILD / "base/debian.qcow2"
RPMS = BUILD / "repo/RPMS"
AB_CONFIG = REPOSITORY / "examples/ab-image.yaml"

needs_images = pytest.mark.images


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


def command(module: str, *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> Finished:
    """Run `python -m twinroot.cli.MODULE` to its end."""
    argv = [sys.executable, "-m", f"twinroot.cli.{module}", *map(str, arguments)]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        env=os.environ | (env or {}), cwd=cwd, check=False,
    )  # fmt: skip
    return Finished(done.returncode, done.stdout, done.stderr)


def customize(
    config: Path, base: Path, output: Path, build_dir: Path, *extra: object, output_format: str = "raw"
) -> Finished:
    """Run `imagecustomizer` on a base image; RPM bases get the stand-in repository as their only source."""
    source = ["--rpm-source", RPMS, "--disable-base-image-rpm-repos"] if base == BASE_RPM else []
    return command(
        "imagecustomizer", "--build-dir", build_dir, "--config-file", config, "--image-file", base, *source,
        "--output-image-file", output, "--output-image-format", output_format, *extra,
    )  # fmt: skip


def built(base: Path) -> Path:
    """A base image that must have been built; skips the test with advice otherwise."""
    if not base.exists():
        pytest.fail(f"{base} is missing: run `make images` first")
    return base
