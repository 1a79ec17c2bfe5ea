"""Showing progress: a live display on a terminal, plain lines otherwise, JSON lines with `--log-format json`.

All of it goes to standard error or the log; standard output is for results.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from twinroot.events import Emit, Event, PhaseAdvanced, PhaseFinished, PhaseStarted
from twinroot.units import human

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger("twinroot.progress")

# Seconds between lines of one phase.
_PLAIN_INTERVAL = 10.0
_JSON_INTERVAL = 0.1


@contextmanager
def watching(log_format: str) -> Iterator[Emit]:
    """An `Emit` for the run of a command, shown as fits where standard error goes."""
    if log_format == "json":
        yield _Json().see
    elif sys.stderr.isatty():
        display = _Display()
        try:
            yield display.see
        finally:
            display.stop()
    else:
        yield _Plain().see


class _Json:
    """An object for each event, but of a phase that advances quickly only some, and its end."""

    def __init__(self) -> None:
        self._shown: dict[str, float] = {}

    def see(self, event: Event) -> None:
        match event:
            case PhaseStarted(name, title, total, unit):
                self._shown.pop(name, None)
                self._say(title, {"event": "phase-started", "phase": name, "total": total, "unit": unit})
            case PhaseAdvanced(name, done, total):
                now = time.monotonic()
                if done == total or now - self._shown.get(name, -_JSON_INTERVAL) >= _JSON_INTERVAL:
                    self._shown[name] = now
                    self._say(name, {"event": "phase-advanced", "phase": name, "done": done, "total": total})
            case PhaseFinished(name, seconds):
                self._say(name, {"event": "phase-finished", "phase": name, "seconds": round(seconds, 3)})

    def _say(self, message: str, fields: dict[str, object]) -> None:
        log.info("%s", message, extra={"fields": fields})


class _Plain:
    """A line when a phase starts and ends, and one now and then in between."""

    def __init__(self) -> None:
        self._phases: dict[str, tuple[PhaseStarted, float]] = {}
        self._shown: dict[str, float] = {}

    def see(self, event: Event) -> None:
        now = time.monotonic()
        match event:
            case PhaseStarted(name, title):
                self._phases[name] = (event, now)
                self._shown[name] = now
                log.info("%s", title)
            case PhaseAdvanced(name, done):
                if name in self._phases and now - self._shown[name] >= _PLAIN_INTERVAL:
                    self._shown[name] = now
                    started, since = self._phases[name]
                    log.info("%s: %s", started.title, describe(started, done, now - since))
            case PhaseFinished(name, seconds):
                if name in self._phases:
                    log.info("%s: done in %.1f s", self._phases[name][0].title, seconds)


def describe(started: PhaseStarted, done: int, elapsed: float) -> str:
    """Percent, amount, rate and time left of a phase in words."""
    total = started.total
    parts = []
    if total:
        parts.append(f"{min(100, 100 * done // total)} %")
    if started.unit == "bytes":
        parts.append(f"{human(done)} of {human(total)}" if total else human(done))
        if elapsed > 0:
            parts.append(f"{human(done / elapsed)}/s")
    if total and 0 < done < total:
        parts.append(f"{elapsed * (total - done) / done:.0f} s left")
    return ", ".join(parts)


class _Display:
    """rich's progress bars, started with the first phase: its refreshing thread must not be there earlier."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, tuple[TaskID, PhaseStarted]] = {}

    def see(self, event: Event) -> None:
        match event:
            case PhaseStarted(name, title, total):
                task = self._open().add_task(title, total=total, amount="")
                self._tasks[name] = (task, event)
            case PhaseAdvanced(name, done):
                task, started = self._tasks[name]
                progress = self._open()
                elapsed = progress.tasks[progress.task_ids.index(task)].elapsed or 0
                progress.update(task, completed=done, amount=describe(started, done, elapsed))
            case PhaseFinished(name, seconds):
                task, started = self._tasks[name]
                total = started.total or 1
                self._open().update(task, completed=total, total=total, amount=f"done in {seconds:.1f} s")
                self._open().stop_task(task)

    def stop(self) -> None:
        if self._progress:
            self._progress.stop()

    def _open(self) -> Progress:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

            self._progress = Progress(
                SpinnerColumn(finished_text="[green]✓"),
                TextColumn("{task.description:<30}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[amount]}"),
                console=Console(stderr=True),
                # Results belong on standard output, wherever the display is.
                redirect_stdout=False,
            )
            self._progress.start()
        return self._progress
