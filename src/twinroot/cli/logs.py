"""Where log lines go: standard error in the wanted format, and the log file with everything.

Text lines look as the peer's do: `INFO[0012] message`, the number being seconds since the start.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from twinroot.errors import InputError, UsageError

_LEVELS = {
    "off": logging.CRITICAL + 1,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}
_NAMES = {logging.CRITICAL: "FATA", logging.ERROR: "ERRO", logging.WARNING: "WARN", logging.INFO: "INFO"}
_COLORS = {"FATA": "31", "ERRO": "31", "WARN": "33", "INFO": "36", "DEBU": "37"}
_AGENT_LEVELS = {"fatal": "error", "warning": "warn"}  # the peer knows five levels
_JSON_NAMES = {"FATA": "fatal", "ERRO": "error", "WARN": "warning", "INFO": "info", "DEBU": "debug"}


class TextFormatter(logging.Formatter):
    """`LEVE[seconds] message`, in colour when wanted."""

    def __init__(self, started: float, *, color: bool) -> None:
        super().__init__()
        self.started = started
        self.color = color

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        name = _NAMES.get(record.levelno, "DEBU")
        shown = f"\x1b[{_COLORS[name]}m{name}\x1b[0m" if self.color else name
        text = f"{shown}[{int(time.time() - self.started):04d}] {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line with `time` (RFC 3339, UTC), `level`, `msg` and what a record carries in `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level = _JSON_NAMES[_NAMES.get(record.levelno, "DEBU")]
        fields = getattr(record, "fields", {})
        return json.dumps({"time": when.replace("+00:00", "Z"), "level": level, "msg": record.getMessage(), **fields})


class FullLogFormatter(logging.Formatter):
    """The lines of the agent's log file, as the peer's tools read them (servicing spec, section 18)."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level = _JSON_NAMES[_NAMES.get(record.levelno, "DEBU")]
        traceback = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        line = {
            "level": _AGENT_LEVELS.get(level, level).upper(),
            "message": record.getMessage() + traceback,
            "target": record.name,
            "module": record.name,
            "file": record.pathname,
            "line": record.lineno,
            "timestamp": when,
        }
        return json.dumps(line)


def set_up(
    level: str,
    log_format: str,
    color: str,
    log_file: Path | None,
    stream: TextIO | None = None,
    *,
    full_log: bool = False,
) -> None:
    """Configure logging for one run of a command; InputError when the flags or the file cannot be used.

    With `full_log` the file is the agent's, whatever the format of standard error, and is added to: another command
    may be writing to it, until we know that we are alone. Nothing depends on it, so the run goes on without it.
    """
    if log_format == "json" and color == "always":
        raise UsageError("--log-color always cannot be used together with --log-format json")
    out = stream or sys.stderr
    started = time.time()
    colored = color == "always" or (color == "auto" and out.isatty())
    handlers: list[logging.Handler] = [logging.StreamHandler(out)]
    handlers[0].setLevel(_LEVELS[level])
    handlers[0].setFormatter(_formatter(log_format, started, color=colored))
    unusable: InputError | None = None
    if log_file:
        formatter = FullLogFormatter() if full_log else _formatter(log_format, started)
        try:
            handlers.append(_file_handler(log_file, formatter, "a" if full_log else "w"))
        except InputError as error:
            if not full_log:
                raise
            unusable = error
    root = logging.getLogger("twinroot")
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.setLevel(logging.DEBUG)
    root.propagate = False
    for handler in handlers:
        root.addHandler(handler)
    if unusable:
        root.warning("%s: the log of this command is not kept: %s", unusable.where, unusable.message)


def _formatter(log_format: str, started: float, *, color: bool = False) -> logging.Formatter:
    if log_format == "agent":
        return FullLogFormatter()
    return JsonFormatter() if log_format == "json" else TextFormatter(started, color=color)


class _File(logging.FileHandler):
    """A file that may become full: that is said once, and the run goes on."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (a name of logging)
        """Say that the file misses what comes now."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.told:
            self.told = True
            print(f"warning: {self.baseFilename}: the log is incomplete: {error.strerror}", file=sys.stderr)


def _file_handler(path: Path, formatter: logging.Formatter, mode: str) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(path, mode=mode, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"the log file cannot be written: {error.strerror}", where=str(path)) from error
    handler.setLevel(logging.DEBUG)
    handler.setFormatter(formatter)
    return handler
