"""A pytest plugin: tests in machines that passed with the same inputs are not run again, as nothing is built again.

    pytest -p tests.not_again --not-again FOLDER

FOLDER keeps, for the newest inputs, which tests passed. Inputs are everything that is in `_SOURCES`, the base images
and the programs of this system: whichever changes, all tests run again. So they do in every fresh clone.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

_SOURCES = (
    "src", "tests", "packaging", "distro-rpm", "examples",
    "Makefile", "pyproject.toml", "requirements.txt", "packages.txt",
)  # fmt: skip
_IN_MACHINE = ("twinroot", "runs in a machine")
_SYSTEM = Path("/var/lib/dpkg/status")  # which version of QEMU, its firmware and every other program is installed


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "do not run tests in machines again that passed with the same inputs; the folder remembers them"
    parser.addoption("--not-again", type=Path, metavar="FOLDER", help=text)


def pytest_configure(config: pytest.Config) -> None:
    if folder := config.getoption("not_again"):
        config.pluginmanager.register(_NotAgain(folder, config.rootpath))


class _NotAgain:
    def __init__(self, folder: Path, root: Path) -> None:
        self._root, self._inputs = root, inputs_digest(root)
        self._file = folder / self._inputs
        self._before = frozenset(self._file.read_text().splitlines()) if self._file.exists() else frozenset()
        self._passed: set[str] = set()
        self._failed: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        again = [item for item in items if item.nodeid not in self._before]
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in self._before])
        for item in again:
            # A report has its test's markers among the names of folders, which may be the same.
            if item.get_closest_marker("vm"):
                item.user_properties.append(_IN_MACHINE)
        items[:] = again

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # What comes from another process are lists.
        if _IN_MACHINE in map(tuple, report.user_properties):
            (self._passed if report.outcome == "passed" else self._failed).add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        # The process that began the others hears of all tests. Nothing counts if somebody changed the inputs meanwhile.
        if "PYTEST_XDIST_WORKER" in os.environ or inputs_digest(self._root) != self._inputs:
            return
        # The tests of a file share what they look at: one that failed may pass alone.
        files = {_file_of(name) for name in self._failed}
        passed = [name for name in sorted(self._passed) if _file_of(name) not in files]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for old in self._file.parent.iterdir():
            if old != self._file:
                old.unlink()
        with self._file.open("a") as stream:
            stream.writelines(f"{name}\n" for name in passed)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._before:
            count = f"{len(self._before)} tests in machines passed before with the same inputs"
            terminalreporter.write_line(f"{count}, and were not run again (make test AGAIN=1 runs them)")


def _file_of(name: str) -> str:
    return name.partition("::")[0]


def inputs_digest(root: Path) -> str:
    """What stands for everything that decides how a test in a machine ends."""
    host = (sys.version, os.uname().release, os.cpu_count(), os.environ.get("TWINROOT_ACCEL"))
    digest = hashlib.sha256(repr(host).encode())
    for path in (*_files(root), *_existing([_SYSTEM])):
        content = path.read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    for image in sorted(Path(os.environ.get("TWINROOT_BUILD", root / "build")).glob("base/*")):
        facts = image.stat()
        digest.update(f"{image}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for top in _existing(root / name for name in _SOURCES):
        found = sorted(top.rglob("*")) if top.is_dir() else [top]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _existing(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.exists())
