"""Running one command of the agent for the daemon, as a program of its own: what decides stays in one place."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twinroot import scratch
from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.remote.answers import Ended, log_message
from twinroot.agent.remote.orders import CONFIG_NAME, REPORT_NAME, Order, child_environment, command_line, entry_point
from twinroot.agent.remote.report import read_report
from twinroot.agent.servicing.boot import RUN
from twinroot.scratch import locked_folder
from twinroot.tools.run import run

log = logging.getLogger("twinroot.remote")

_ANY = range(-64, 256)
_PREFIX = "request-"
_LEVELS = {
    v1.LOG_LEVEL_ERROR: logging.ERROR,
    v1.LOG_LEVEL_WARN: logging.WARNING,
    v1.LOG_LEVEL_INFO: logging.INFO,
}


def this_program() -> list[str]:
    """How to start this program again."""
    return entry_point(sys.executable, sys.orig_argv, sys.argv)


def carry_out(program: Sequence[str], order: Order, say: Callable[[v1.Log], None]) -> Ended:
    """Run the command of an order to its end, and say what it logs; where that goes is no concern of it.

    OSError when there is no room for its configuration.
    """
    last_error = ""

    def heard(line: str) -> None:
        nonlocal last_error
        # Nobody who asks knows our folder: the configuration is theirs.
        found = log_message(line.replace(f"{folder}/", ""))
        log.log(log_level(found.level), "%s", found.message)
        if found.level == v1.LOG_LEVEL_ERROR:
            last_error = found.message
        say(found)

    with _request_folder() as folder:
        if order.config is not None:
            # The folder is closed to others, and the file is too, should somebody open the folder.
            (folder / CONFIG_NAME).touch(mode=0o600)
            with (folder / CONFIG_NAME).open("w", encoding="utf-8", newline="") as stream:
                stream.write(order.config)
        argv = [*program, *command_line(order, folder)]
        stdin = order.image.encode() if order.image else None
        result = run(argv, stdin=stdin, env=child_environment(os.environ), ok=_ANY, merged=True, on_line=heard)
        report = folder / REPORT_NAME
        text = report.read_text().replace(f"{folder}/", "") if report.exists() else ""
    return Ended(result.code, read_report(text), last_error)


def log_level(level: v1.LogLevel) -> int:
    """The level of a message in our own logs."""
    return _LEVELS.get(level, logging.DEBUG)


@contextmanager
def _request_folder() -> Iterator[Path]:
    """A folder for one request, in memory, since configurations hold secrets."""
    RUN.mkdir(parents=True, exist_ok=True)
    with locked_folder(_PREFIX, RUN) as folder:
        yield folder


def remove_left_over() -> None:
    """Remove the folders of daemons that were killed; those of one that lives are locked."""
    scratch.remove_left_over(_PREFIX, RUN)
