"""What surrounds every command: signals, logging, progress, and errors told once, clearly, with exit code 1."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from twinroot.cli.logs import set_up
from twinroot.cli.progress import watching
from twinroot.errors import ConfigError, InputError, Problem, TwinrootError, UsageError
from twinroot.events import Emit
from twinroot.interrupts import ENDING

_CUT = "…"  # in place of what is left out of a source line
_NO_THREAD = "can't start new thread"  # what Python says in an error of no class of its own
_LEAST_PART = 20  # characters of a source line that are shown on the narrowest terminal

log = logging.getLogger("twinroot.cli")


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: ends the run as Ctrl-C does, with all cleaning up."""


Show = Callable[[], None]


def run_command(
    arguments: argparse.Namespace, failure: str, work: Callable[[Emit], Show | None], *, failed: int = 1
) -> int:
    """Run a command's work; returns the exit code: 0, `failed`, or `usage_failed` of the parser for a UsageError.

    `failure` begins the final line of a run that failed.
    A command with a result to print returns the function that prints it, which runs when no progress is shown any more.
    """
    _open_streams()
    for number in ENDING:
        # What whoever started us wants ignored (nohup, a shell's background) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        full_log = getattr(arguments, "full_log", False)
        _check_log_file(arguments)
        set_up(arguments.log_level, arguments.log_format, arguments.log_color, arguments.log_file, full_log=full_log)
    except TwinrootError as error:
        print(f"error: {error}", file=sys.stderr)
        return _code(error, arguments, failed)
    try:
        return 0 if _succeeds(arguments.log_format, failure, work) else failed
    except UsageError as error:
        log.critical("%s: %s", failure, error)
        return _code(error, arguments, failed)


def _check_log_file(arguments: argparse.Namespace) -> None:
    """InputError where the log would be written over what the command works on."""
    path = arguments.log_file
    for name, value in vars(arguments).items() if path else ():
        for other in value if isinstance(value, list | tuple) else [value]:
            if name != "log_file" and isinstance(other, Path) and _same(path, other):
                message = "--log-file names a file that the command works on"
                raise InputError(message, where=str(path), hint="name another file")


def _same(one: Path, other: Path) -> bool:
    if one.absolute() == other.absolute():
        return True
    try:
        return one.is_file() and one.samefile(other)
    except (OSError, ValueError):
        return False  # What is wrong with a path is told where it is used.


def _code(error: TwinrootError, arguments: argparse.Namespace, failed: int) -> int:
    """The peer ends with its code for failures where it is not its parser that finds the mistake."""
    return int(getattr(arguments, "usage_failed", failed)) if isinstance(error, UsageError) else failed


def _open_streams() -> None:
    """Where whoever started us closed a standard stream, what goes there goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (as long as the program runs)


def _succeeds(log_format: str, failure: str, work: Callable[[Emit], Show | None]) -> bool:
    """Do the work and tell any error."""
    try:
        with watching(log_format) as emit:
            show = work(emit)
        if show:
            show()
            sys.stdout.flush()
    except ConfigError as error:
        _report_problems(error, failure, log_format)
        return False
    except UsageError:
        raise
    except TwinrootError as error:
        log.critical("%s: %s", failure, error)
        return False
    except KeyboardInterrupt as stop:
        for number in ENDING:
            # Python gives its own handlers up before it ends.
            signal.signal(number, signal.SIG_IGN)
        log.critical("%s: %s", failure, "terminated" if isinstance(stop, Terminated) else "interrupted")
        return False
    except BrokenPipeError:
        # Whoever read our output has enough of it.
        sys.stderr.close()
        return False
    except (OSError, MemoryError, RuntimeError) as error:
        # The machine's fault, not a defect, unless nobody knows it.
        trouble = _trouble(error)
        if trouble is None:
            raise
        log.critical("%s: %s", failure, trouble)
        return False
    return True


def _trouble(error: Exception) -> str | None:
    """What the machine lacks: a file that cannot be read or written where nobody expected it, memory, processes."""
    # A pipe that would block has another text.
    if str(error) == _NO_THREAD or (isinstance(error, OSError) and error.strerror == os.strerror(errno.EAGAIN)):
        limits = "ulimit -u, TasksMax= of a unit, --pids-limit of a container"
        return f"no more processes and threads may be started; raise the limit ({limits})"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return "there is not enough memory (ulimit -v, MemoryMax= of a unit, -m of a container)"
    return None


def _end(number: int, _frame: FrameType | None) -> None:
    """End the run by an exception; nothing that comes after the first signal disturbs the cleaning up."""
    for other in ENDING:
        signal.signal(other, lambda _number, _frame: None)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _report_problems(error: ConfigError, failure: str, log_format: str) -> None:
    report_problems(error.problems, logging.ERROR, log_format)
    count = len(error.problems)
    log.critical("%s: the configuration has %d problem%s", failure, count, "" if count == 1 else "s")


def report_problems(problems: Iterable[Problem], level: int, log_format: str) -> None:
    """Log each problem at a level."""
    width = _terminal_width()
    for problem in problems:
        if log_format == "json":
            log.log(level, "%s", problem, extra={"fields": {"problem": problem_record(problem)}})
        else:
            log.log(level, "%s", problem_text(problem, width))


def problem_record(problem: Problem) -> dict[str, object]:
    """A problem as a JSON object; `code` only where the peer has a name for the error."""
    fields = {"file": problem.file, "line": problem.line, "column": problem.column, "key": problem.key}
    code = {"code": problem.code} if problem.code else {}
    return {**fields, "message": problem.message, "hint": problem.hint, **code}


def problem_text(problem: Problem, width: int | None = None) -> str:
    """A problem with its source line and a mark below the place, as compilers show theirs.

    Of a source line that is wider than `width` columns, only the part around the place is shown: the mark under a line
    that a terminal has wrapped points anywhere.
    """
    text = str(problem)
    if problem.text is None or not problem.line:
        return text
    number = f"{problem.line:>5}"
    line, column = problem.text, max(problem.column - 1, 0)
    if width is not None:
        line, column = _part_around(line, column, max(width - len(f"{number} | "), _LEAST_PART))
    margin = "".join("\t" if char == "\t" else " " for char in line[:column])
    return f"{text}\n{number} | {line}\n{'':>5} | {margin}^"


def _part_around(line: str, column: int, room: int) -> tuple[str, int]:
    """The part of a line around a column that fits into `room` characters, and the place of the column in it."""
    column = len(line[:column].expandtabs())
    line = line.expandtabs()
    start = max(min(column - room // 2, len(line) - room), 0)
    part = line[start : start + room]
    if start > 0:
        part = f"{_CUT}{part[1:]}"
    if start + room < len(line):
        part = f"{part[:-1]}{_CUT}"
    return part, column - start


def _terminal_width() -> int | None:
    """The width of the terminal that messages go to; None when they go elsewhere."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return None


def print_json(value: object) -> None:
    """A result as JSON on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()
