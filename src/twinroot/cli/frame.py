"""What surrounds every command: signals, logging, progress, and errors told once, clearly, with exit code 1."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType

from twinroot.cli.logs import set_up
from twinroot.cli.progress import watching
from twinroot.errors import ConfigError, Problem, TwinrootError
from twinroot.events import Emit
from twinroot.interrupts import ENDING

log = logging.getLogger("twinroot.cli")


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: ends the run as Ctrl-C does, with all cleaning up."""


Show = Callable[[], None]


def run_command(
    arguments: argparse.Namespace, failure: str, work: Callable[[Emit], Show | None], *, failed: int = 1
) -> int:
    """Run a command's work; returns the exit code, 0 or `failed`. `failure` begins the final line of a run that failed.

    A command with a result to print returns the function that prints it, which runs when no progress is shown any more.
    """
    for number in ENDING:
        # What whoever started us wants ignored (nohup, a shell's background) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        set_up(arguments.log_level, arguments.log_format, arguments.log_color, arguments.log_file)
    except TwinrootError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if _succeeds(arguments.log_format, failure, work) else failed


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
    except OSError as error:
        # A file that cannot be read or written where nobody expected it: the machine's fault, not a defect.
        where = f"{error.filename}: " if error.filename else ""
        log.critical("%s: %s%s", failure, where, error.strerror or error)
        return False
    return True


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
    for problem in problems:
        if log_format == "json":
            log.log(level, "%s", problem, extra={"fields": {"problem": problem_record(problem)}})
        else:
            log.log(level, "%s", problem_text(problem))


def problem_record(problem: Problem) -> dict[str, object]:
    """A problem as a JSON object; `code` only where the peer has a name for the error."""
    fields = {"file": problem.file, "line": problem.line, "column": problem.column, "key": problem.key}
    code = {"code": problem.code} if problem.code else {}
    return {**fields, "message": problem.message, "hint": problem.hint, **code}


def problem_text(problem: Problem) -> str:
    """A problem with its source line and a mark below the place, as compilers show theirs."""
    text = str(problem)
    if problem.text is None or not problem.line:
        return text
    number = f"{problem.line:>5}"
    before = problem.text[: max(problem.column - 1, 0)]
    margin = "".join("\t" if char == "\t" else " " for char in before)
    return f"{text}\n{number} | {problem.text}\n{'':>5} | {margin}^"


def print_json(value: object) -> None:
    """A result as JSON on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()
