"""The plugin of `make test` that does not run tests in machines again, in a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.not_again import inputs_digest

_ROOT = Path(__file__).parents[2]
_TESTS = """
import pytest
from pathlib import Path

HERE = Path(__file__).parents[1]

@pytest.mark.vm
@pytest.mark.parametrize("word", ["a b", "c::d"])
def test_machine(word): (HERE.parent / "runs").open("a").write("machine\\n")

@pytest.mark.vm
def test_failing(): assert (HERE.parent / "well").exists()

@pytest.mark.vm
def test_whose_fixture_fails(failing): pass

@pytest.mark.vm
def test_skipped(): pytest.skip("not here")

@pytest.fixture
def failing():
    yield
    assert (HERE.parent / "well").exists()

def test_quick(): (HERE.parent / "runs").open("a").write("quick\\n")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with tests."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nmarkers = ['vm']\ntestpaths = ['tests']\n")
    for name, text in (("tests/vm/test_it.py", _TESTS), ("src/code.py", ""), ("build/base/.image.stamp", "1")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(project: Path) -> tuple[dict[str, int], list[str], bool]:
    """How many tests ended how, which left a trace, and whether the output tells of others."""
    (project / "runs").write_text("")
    argv = [sys.executable, "-m", "pytest", "-n1", "-p", "tests.not_again", "--not-again", "build/passed"]
    own = ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "TWINROOT_BUILD")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment["PYTHONPATH"] = f"{_ROOT / 'src'}:{_ROOT}"
    done = subprocess.run(argv, cwd=project, env=environment, capture_output=True, text=True, check=False)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", done.stdout.splitlines()[-1])}
    return counts, sorted((project / "runs").read_text().split()), "were not run again" in done.stdout


def test_only_what_passed_is_not_run_again(project: Path) -> None:
    counts, traces, told = run(project)
    assert (counts["passed"], counts["failed"], traces, told) == (4, 1, ["machine", "machine", "quick"], False)
    counts, traces, told = run(project)
    assert (counts["failed"], counts["error"], counts["skipped"], traces, told) == (1, 1, 1, ["quick"], True)
    (project / "well").touch()
    counts, traces, _ = run(project)
    assert (counts["passed"], traces) == (3, ["quick"])
    counts, traces, _ = run(project)
    assert (counts["passed"], counts["skipped"], traces) == (1, 1, ["quick"])


@pytest.mark.parametrize("changed", ["src/code.py", "src/more.py", "tests/data", "build/base/.image.stamp", "Makefile"])
def test_inputs(project: Path, changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWINROOT_BUILD", raising=False)
    before = inputs_digest(project)
    (project / "README.md").write_text("changed")
    assert inputs_digest(project) == before
    (project / changed).write_text("changed")
    assert inputs_digest(project) != before
