"""Running health checks: all at the same time, each to its end (servicing spec, section 9.1)."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from twinroot.agent.health.verdict import Failure, log_name, log_text
from twinroot.agent.kept_logs import drop_oldest
from twinroot.agent.scripts import due, environment_of, read, run_on_host, shown, why
from twinroot.agent.states import ServicingType
from twinroot.config.host.health import Check
from twinroot.errors import CommandError, HostError, MissingToolError, NoSpaceError, TwinrootError
from twinroot.tools.systemctl import is_active

log = logging.getLogger(__name__)

_STEP = 0.1  # seconds between two looks at units
_ANSWER = 10.0  # seconds in which systemd says how a unit is


def run_checks(
    checks: Sequence[Check], servicing: ServicingType, *, phonehome: str | None = None
) -> tuple[Failure, ...]:
    """Run the checks for a kind of servicing in the running system; those that failed, in the order of the checks.

    Whatever ends a check but its success is a failure: a machine whose checks cannot be run is not known to be well.
    """
    jobs = [
        (shown(check, f"health.checks[{index}]"), _job(check, servicing, phonehome))
        for index, check in enumerate(checks)
        if due((check,), servicing)
    ]
    if not jobs:
        return ()
    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        found = pool.map(lambda job: _failures(*job), jobs)
        return tuple(failure for failures in found for failure in failures)


def keep_failures(directory: Path, failures: Sequence[Failure]) -> None:
    """`write_log`, which servicing does not fail with: a machine that is not well is to go back in any case."""
    now = datetime.now(UTC)
    while True:
        try:
            write_log(directory, failures, now)
            return
        except NoSpaceError as error:
            if not drop_oldest(directory):
                log.warning("%s", error)
                return
        except HostError as error:
            log.warning("%s", error)
            return


def write_log(directory: Path, failures: Sequence[Failure], now: datetime) -> Path:
    """Keep what failed checks said in a new file of the directory, complete or not at all; HostError if that fails."""
    path = directory / log_name(now)
    beside = path.with_name(f"{path.name}.new")
    try:
        with beside.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(log_text(failures))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        kind = NoSpaceError if error.errno == errno.ENOSPC else HostError
        raise kind(f"the log of the health checks cannot be written: {error.strerror}", where=str(path)) from error
    return path


def _job(check: Check, servicing: ServicingType, phonehome: str | None) -> Callable[[], list[str]]:
    if check.systemd_services is not None:
        units, timeout = check.systemd_services, check.timeout
        return lambda: _wait_for(units, timeout)
    return lambda: _run_script(check, servicing, phonehome)


def _failures(called: str, job: Callable[[], list[str]]) -> list[Failure]:
    try:
        reasons = job()
    except TwinrootError as error:
        reasons = [error.message]
    except OSError as error:
        reasons = [f"it could not be run: {error.strerror or error}"]
    return [Failure(called, reason) for reason in reasons]


def _run_script(check: Check, servicing: ServicingType, phonehome: str | None) -> list[str]:
    try:
        run_on_host(read(check, "the script"), environment_of(check, servicing, "/", phonehome))
    except (CommandError, MissingToolError) as error:
        return [why(error)]
    return []


def _wait_for(units: Sequence[str], timeout: float) -> list[str]:
    """Look at units until each was active once, or time is up. Every unit is looked at, whatever the time-out."""
    end = time.monotonic() + timeout
    waiting = dict.fromkeys(dict.fromkeys(units), "")
    while True:
        for unit in tuple(waiting):
            active, said = _look(unit)
            if active:
                del waiting[unit]
            else:
                waiting[unit] = said
        if not waiting or time.monotonic() >= end:
            return [f"{unit} did not become active within {timeout:g} s: {said}" for unit, said in waiting.items()]
        time.sleep(_STEP)


def _look(unit: str) -> tuple[bool, str]:
    """As `is_active`; an answer that does not come is none that ends the waiting, as systemd may be busy starting."""
    try:
        return is_active(unit, timeout=_ANSWER)
    except CommandError as error:
        return False, error.output.strip()
