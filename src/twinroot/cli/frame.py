"""What surrounds every command: signals, logging, progress, and errors told once, clearly, with exit code 1."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
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


def run_command(arguments: argparse.Namespace, failure: str, work: Callable[[Emit], Show | None]) -> int:
    """Run a command's work; returns the exit code. `failure` begins the final line of a run that failed.

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
    try:
        with watching(arguments.log_format) as emit:
            show = work(emit)
        if show:
            show()
            sys.stdout.flush()
    except ConfigError as error:
        _report_problems(error, failure, arguments.log_format)
        return 1
    except TwinrootError as error:
        log.critical("%s: %s", failure, error)
        return 1
    except KeyboardInterrupt as stop:
        for number in ENDING:
            # Python gives its own handlers up before it ends.
            signal.signal(number, signal.SIG_IGN)
        log.critical("%s: %s", failure, "terminated" if isinstance(stop, Terminated) else "interrupted")
        return 1
    except BrokenPipeError:
        # Whoever read our output has enough of it.
        sys.stderr.close()
        return 1
    except OSError as error:
        # A file that cannot be read or written where nobody expected it: the machine's fault, not a defect.
        where = f"{error.filename}: " if error.filename else ""
        log.critical("%s: %s%s", failure, where, error.strerror or error)
        return 1
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    """End the run by an exception; nothing that comes after the first signal disturbs the cleaning up."""
    for other in ENDING:
        signal.signal(other, lambda _number, _frame: None)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _report_problems(error: ConfigError, failure: str, log_format: str) -> None:
    if log_format == "json":
        for problem in error.problems:
            log.error("%s", problem, extra={"fields": {"problem": problem_record(problem)}})
    else:
        for problem in error.problems:
            log.error("%s", problem_text(problem))
    count = len(error.problems)
    log.critical("%s: the configuration has %d problem%s", failure, count, "" if count == 1 else "s")


def problem_record(problem: Problem) -> dict[str, object]:
    """A problem as a JSON object."""
    fields = {"file": problem.file, "line": problem.line, "column": problem.column, "key": problem.key}
    return {**fields, "message": problem.message, "hint": problem.hint}


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
