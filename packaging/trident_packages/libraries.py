"""The libraries of the agent: wheels of the project's pinned requirements for the agent's own interpreter."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from twinroot.errors import InputError
from twinroot.tools.run import run

LIBRARIES = {
    "annotated-types": "annotated_types",
    "certifi": "certifi",
    "charset-normalizer": "charset_normalizer",
    "grpclib": "grpclib",
    "h2": "h2",
    "hpack": "hpack",
    "hyperframe": "hyperframe",
    "idna": "idna",
    "multidict": "multidict",
    "oras": "oras",
    "protobuf": "google",
    "pydantic": "pydantic",
    "pydantic-core": "pydantic_core",
    "pyyaml": "yaml",
    "requests": "requests",
    "rich": "rich",
    "typing-extensions": "typing_extensions",
    "typing-inspection": "typing_inspection",
    "urllib3": "urllib3",
    "zstandard": "zstandard",
}
"""Distributions with the names that one imports. Left out of those that these ask for are what no code path of ours
loads: pygments and markdown-it-py of rich, jsonschema of oras. `cryptography` (14 MB) only serves signatures of base
images."""

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")  # glibc 2.28 and older
# Not for running: the same in another language (pure C is loaded first) or of an old version, sources, annotations,
# generators of code, services that we do not offer, tests, a program. Of protobuf, what is in Python is loaded where
# _upb is missing, which links libstdc++: that has 2 MB, and not every image has it. Our messages are few and small.
_NOT_RUN = (
    "zstandard/_cffi*",
    "pydantic/v1",
    "multidict/_multidict_py.py",
    "multidict/_testcapi*",
    "google/_upb",
    "google/protobuf/json*.py",
    "google/protobuf/proto*.py",
    "google/protobuf/compiler",
    "google/protobuf/testdata",
    "google/protobuf/util",
    "google/protobuf/internal/*_benchmark.py",
    "google/protobuf/internal/testing_refleaks.py",
    "grpclib/channelz",
    "grpclib/health",
    "grpclib/plugin",
    "grpclib/reflection",
    "grpclib/testing.py",
    "**/*.pyi",
    "**/*.pxd",
    "**/*.pyx",
    "**/*.h",
    "**/py.typed",
    "bin",
    "_yaml",
)


def pinned(requirements: str, names: Iterable[str]) -> str:
    """The lines of a requirements file, with versions and hashes, for some distributions.

    InputError for a distribution that it does not have.
    """
    text = re.sub(r"\\\n", "", requirements)
    lines = {found[1]: line for line in text.splitlines() if (found := re.match(r"([A-Za-z0-9._-]+)==", line))}
    missing = sorted(set(names) - set(lines))
    if missing:
        raise InputError(f"requirements.txt does not have {', '.join(missing)}", hint="run pip-compile")
    return "".join(f"{re.sub(r' +', ' ', lines[name])}\n" for name in sorted(names))


def install(requirements: str, target: Path, licences: Path, version: str, work: Path) -> None:
    """Put the libraries for a version of Python, such as 3.11, into `target`, and their licences into `licences`."""
    wanted = work / "requirements.txt"
    wanted.write_text(requirements)
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-compile", "--root-user-action=ignore", "--require-hashes", "--only-binary=:all:",
            "--python-version", version, "--implementation", "cp", *platforms, "--target", target, "-r", wanted,
        ],
        env=_pip_environment(),
    )  # fmt: skip
    for pattern in _NOT_RUN:
        for path in list(target.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _move_licences(target, licences)


def _pip_environment() -> dict[str, str]:
    """How this machine reaches a package index, which pip reads from the environment."""
    return {name: value for name, value in os.environ.items() if name.upper().startswith(("PIP_", "HTTP", "NO_PROXY"))}


def _move_licences(target: Path, licences: Path) -> None:
    """Keep what people must be told, and drop the rest of what describes a distribution."""
    for info in sorted(target.glob("*.dist-info")):
        name = info.name.removesuffix(".dist-info").rpartition("-")[0]
        for path in sorted(info.rglob("*")):
            if path.is_file() and re.match(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)", path.name, re.IGNORECASE):
                licences.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, licences / f"{name}.{path.name}")
        shutil.rmtree(info)
