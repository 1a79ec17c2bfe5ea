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
_PASSING = """
import pytest
from pathlib import Path

RUNS = Path(__file__).parents[2] / "runs"

@pytest.mark.vm
@pytest.mark.parametrize("word", ["a b", "c::d"])
def test_machine(word): RUNS.open("a").write("machine\\n")

def test_quick(): RUNS.open("a").write("quick\\n")
"""
_FAILING = """
import pytest
from pathlib import Path

PLACE = Path(__file__).parents[2]

@pytest.mark.vm
def test_beside(): (PLACE / "runs").open("a").write("beside\\n")

@pytest.mark.vm
def test_whose_fixture_fails(failing): pass

@pytest.fixture
def failing():
    yield
    assert (PLACE / "well").exists()
"""
_SKIPPED = """
import pytest

@pytest.mark.vm
def test_skipped(): pytest.skip("not here")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with tests."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nmarkers = ['vm']\ntestpaths = ['tests']\n")
    tests = {"passing": _PASSING, "failing": _FAILING, "skipped": _SKIPPED}
    files = {f"tests/vm/test_{name}.py": text for name, text in tests.items()}
    for name, text in (files | {"src/code.py": "", "build/base/.image.stamp": "1"}).items():
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
    assert (counts["passed"], counts["error"], told) == (5, 1, False)
    assert traces == ["beside", "machine", "machine", "quick"]
    counts, traces, told = run(project)
    assert (counts["error"], counts["skipped"], traces, told) == (1, 1, ["beside", "quick"], True)
    (project / "well").touch()
    assert run(project)[1] == ["beside", "quick"]
    counts, traces, _ = run(project)
    assert (counts["passed"], counts["skipped"], traces) == (1, 1, ["quick"])


def test_inputs_that_change_meanwhile(project: Path) -> None:
    test = project / "tests/vm/test_passing.py"
    changing = "(RUNS.parent / 'src/code.py').write_text('changed')"
    test.write_text(test.read_text().replace('RUNS.open("a").write("quick\\n")', changing))
    run(project)
    (project / "src/code.py").write_text("")
    assert run(project)[1] == ["beside", "machine", "machine"]


@pytest.mark.parametrize("changed", ["src/code.py", "src/more.py", "tests/data", "build/base/.image.stamp", "Makefile"])
def test_inputs(project: Path, changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWINROOT_BUILD", raising=False)
    before = inputs_digest(project)
    (project / "README.md").write_text("changed")
    assert inputs_digest(project) == before
    (project / changed).write_text("changed")
    assert inputs_digest(project) != before
