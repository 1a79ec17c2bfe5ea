"""The built base images, and running our commands as a user would: in a process of their own."""

from __future__ import annotations

import fcntl
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
BASE_UBUNTU = BUILD / "base/ubuntu.qcow2"
_UBUNTU_KEYRING = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
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


def agent_packages(kind: str) -> None:
    """Build the agent's packages, `rpms` or `debs`, in `bin` where they are not those of the sources as they are."""
    made = REPOSITORY / f"bin/trident-{kind}.tar.gz"
    made.parent.mkdir(exist_ok=True)
    with (made.parent / f".{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes may run tests
        folders = [REPOSITORY / folder for folder in ("src", "packaging")]
        sources = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        if not made.exists() or made.stat().st_mtime < max(path.stat().st_mtime for path in sources):
            script = REPOSITORY / "packaging/build_packages.py"
            subprocess.run([sys.executable, script, kind], check=True, cwd=REPOSITORY)


def agent_rpms() -> Path:
    """The folder with the agent's RPMs, which the example needs as a second package source."""
    agent_packages("rpms")
    return REPOSITORY / "bin/RPMS/x86_64"


def agent_debs() -> Path:
    """The folder with the agent's Debian packages."""
    agent_packages("debs")
    return REPOSITORY / "bin/DEBS/amd64"


def built(base: Path) -> Path:
    """A base image that must have been built; fails with advice otherwise. That of Ubuntu is built here."""
    if base == BASE_UBUNTU:
        _build_ubuntu()
    if not base.exists():
        pytest.fail(f"{base} is missing: run `make images` first")
    return base


def _build_ubuntu() -> None:
    """Skips the test where Ubuntu's packages cannot be verified."""
    if not _UBUNTU_KEYRING.exists():
        pytest.skip(f"{_UBUNTU_KEYRING} is missing: it is in Ubuntu's package ubuntu-keyring")
    base = BASE_UBUNTU.parent
    with (base / ".ubuntu.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        script = REPOSITORY / "distro-rpm/build.py"
        subprocess.run([sys.executable, script, "ubuntu", "--output", base.parent], check=True)
