"""Log lines, marks below places, and plain progress."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinroot.cli.frame import problem_text
from twinroot.cli.logs import set_up
from twinroot.cli.progress import describe, watching
from twinroot.errors import InputError, Problem
from twinroot.events import PhaseAdvanced, PhaseFinished, PhaseStarted, phase
from twinroot.units import GIB, MIB


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Logging as it was: other tests must not write to the streams of these."""
    logger = logging.getLogger("twinroot")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    for handler in set(logger.handlers) - set(before[0]):
        handler.close()
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def logged(log_format: str, *, level: str = "info", color: str = "never", log_file: Path | None = None) -> io.StringIO:
    stream = io.StringIO()
    set_up(level, log_format, color, log_file, stream)
    return stream


def test_text_lines(tmp_path: Path) -> None:
    stream = logged("text", log_file=tmp_path / "new/dir/log")
    log = logging.getLogger("twinroot.some")
    log.info("%d of %s", 1, "two\nlines")
    log.debug("only in the file \udcff")
    log.warning("w")
    log.error("e")
    log.critical("f")
    lines = stream.getvalue().splitlines()
    assert re.fullmatch(r"INFO\[\d{4}\] 1 of two", lines[0]) and lines[1] == "lines"
    assert [line[:5] for line in lines[2:]] == ["WARN[", "ERRO[", "FATA["]
    assert "DEBU[" in (tmp_path / "new/dir/log").read_text()


def test_json_lines_are_json_whatever_is_in_them() -> None:
    stream = logged("json", level="trace")
    log = logging.getLogger("twinroot.some")
    texts = ['a "quoted"\nline', "ünï", "\udcff", "\x1b[31m\x00", "100 %"]
    for text in texts:
        log.info("%s", text, extra={"fields": {"event": "x", "n": 1}})
    log.debug("d")
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["msg"] for record in records] == [*texts, "d"]
    assert records[0] | {"time": 0} == {"time": 0, "level": "info", "msg": texts[0], "event": "x", "n": 1}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"]) for record in records)
    assert records[-1]["level"] == "debug"


def test_the_log_of_the_agent_has_lines_of_json_in_every_case(tmp_path: Path) -> None:
    path = tmp_path / "full.log"
    path.write_text("{}\n")
    set_up("error", "text", "never", path, io.StringIO(), full_log=True)
    logging.getLogger("twinroot.some").debug("said %s", "this")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("twinroot.some").warning("failed", exc_info=True)
    _before, first, second = map(json.loads, path.read_text().splitlines())
    assert first | {"timestamp": "", "file": "", "line": 1} == {
        "level": "DEBUG", "message": "said this", "target": "twinroot.some", "module": "twinroot.some",
        "file": "", "line": 1, "timestamp": "",
    }  # fmt: skip
    assert second["level"] == "WARN"
    assert "ValueError: why" in second["message"]


def test_colours_and_flags_that_contradict() -> None:
    stream = logged("text", color="always")
    logging.getLogger("twinroot").error("x")
    assert stream.getvalue().startswith("\x1b[31mERRO\x1b[0m[")
    assert "\x1b" not in logged("text", color="auto").getvalue()
    with pytest.raises(InputError, match="cannot be used together"):
        logged("json", color="always")


def test_levels() -> None:
    for level, seen in (("panic", 1), ("error", 2), ("warn", 3), ("info", 4), ("trace", 5)):
        stream = logged("text", level=level)
        for number in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG):
            logging.getLogger("twinroot").log(number, "x")
        assert len(stream.getvalue().splitlines()) == seen, level


@pytest.mark.parametrize(
    ("text", "column", "margin"),
    [
        ("os: x", 1, ""),
        ("os: x", 5, "    "),
        ("\tos: x", 2, "\t"),
        ("a\tb\tc", 5, " \t \t"),
        ("x", 9, " "),
        ("", 1, ""),
    ],
)
def test_the_mark_stands_below_the_place(text: str, column: int, margin: str) -> None:
    shown = problem_text(Problem("f.yaml", 12, column, "os", "wrong", "do this", text)).split("\n")
    assert shown == [f"f.yaml:12:{column}: os: wrong (do this)", f"   12 | {text}", f"      | {margin}^"]


@pytest.mark.parametrize(
    ("text", "column", "width", "line", "margin"),
    [
        ("0123456789" * 4, 3, 48, "0123456789" * 4, 2),
        ("0123456789" * 4, 3, 28, "0123456789012345678…", 2),
        ("0123456789" * 4, 25, 28, "…567890123456789012…", 10),
        ("0123456789" * 4, 40, 28, "…1234567890123456789", 19),
        ("\t0123456789" * 4, 2, 28, "        0123456789 …", 8),
    ],
)
def test_the_mark_stands_below_the_place_on_narrow_terminals(
    text: str, column: int, width: int, line: str, margin: int
) -> None:
    shown = problem_text(Problem("f.yaml", 12, column, "os", "wrong", None, text), width).split("\n")
    assert shown[1:] == [f"   12 | {line}", f"      | {' ' * margin}^"]


def test_problems_without_a_place() -> None:
    assert problem_text(Problem("f.yaml", 0, 0, "", "wrong", None, None)) == "f.yaml: wrong"
    assert problem_text(Problem("f.yaml", 3, 1, "a.b", "wrong")) == "f.yaml:3:1: a.b: wrong"


def test_plain_progress_is_a_line_at_the_start_and_at_the_end() -> None:
    stream = logged("text")
    with watching("text") as emit, phase(emit, "p", "Doing it", total=10) as advance:
        for done in range(11):
            advance(done)
    lines = [line.split("] ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines[0] == "Doing it" and len(lines) == 2
    assert re.fullmatch(r"Doing it: done in \d+\.\d s", lines[1])


def test_plain_progress_of_unknown_phases_and_failures() -> None:
    stream = logged("text")
    with watching("text") as emit:
        emit(PhaseAdvanced("never started", 1))
        emit(PhaseFinished("never started", 1))
        with pytest.raises(ValueError, match="x"), phase(emit, "p", "Doing it"):
            raise ValueError("x")
    assert [line.split("] ", 1)[1] for line in stream.getvalue().splitlines()] == ["Doing it"]


def test_json_progress() -> None:
    stream = logged("json")
    with watching("json") as emit, phase(emit, "p", "Doing it", total=2, unit="step") as advance:
        advance(1)
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["event"] for record in records] == ["phase-started", "phase-advanced", "phase-finished"]
    assert records[0]["total"] == 2 and records[1]["done"] == 1 and records[2]["phase"] == "p"


def test_json_progress_that_is_quick_is_told_in_part() -> None:
    stream = logged("json")
    with watching("json") as emit, phase(emit, "p", "Doing it", total=10000) as advance:
        for done in range(1, 10001):
            advance(done)
    told = [json.loads(line)["done"] for line in stream.getvalue().splitlines() if "phase-advanced" in line]
    assert (told[0], told[-1]) == (1, 10000) and len(told) < 1000


@pytest.mark.parametrize(
    ("started", "done", "elapsed", "expected"),
    [
        (PhaseStarted("p", "t", GIB), 512 * MIB, 2.0, "50 %, 512 MiB of 1.00 GiB, 256 MiB/s, 2 s left"),
        (PhaseStarted("p", "t", None), MIB, 0.0, "1.00 MiB"),
        (PhaseStarted("p", "t", 0), 0, 0.0, "0 B"),
        (PhaseStarted("p", "t", 10, "step"), 5, 1.0, "50 %, 1 s left"),
        (PhaseStarted("p", "t", 10, "step"), 12, 1.0, "100 %"),
        (PhaseStarted("p", "t", None, "step"), 3, 1.0, ""),
    ],
)
def test_describe(started: PhaseStarted, done: int, elapsed: float, expected: str) -> None:
    assert describe(started, done, elapsed) == expected


def test_a_log_file_that_becomes_full_is_told_once() -> None:
    code = """
import logging
from pathlib import Path
from twinroot.cli.logs import set_up
set_up("info", "text", "never", Path("/dev/full"))
for _ in range(3):
    logging.getLogger("twinroot.test").info("goes on")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("goes on") == 3
    assert "warning: /dev/full: the log is incomplete: No space left on device\n" in done.stderr
    assert len(done.stderr.splitlines()) == 4


def test_the_agent_goes_on_without_its_log(tmp_path: Path) -> None:
    stream = io.StringIO()
    (tmp_path / "file").touch()
    set_up("info", "text", "never", tmp_path / "file/full.log", stream, full_log=True)
    logging.getLogger("twinroot.test").info("goes on")
    first, second = stream.getvalue().splitlines()
    assert "file/full.log: the log of this command is not kept" in first and "goes on" in second
    with pytest.raises(InputError, match="the log file cannot be written"):
        set_up("info", "text", "never", tmp_path / "file/full.log", stream)
