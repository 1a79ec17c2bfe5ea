"""What follows from the root that a machine started and from its health checks (servicing spec, section 9). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from twinroot.agent.errors import ServicingError
from twinroot.agent.states import ServicingType, State, Trigger

_CHECKED = {
    State.CLEAN_INSTALL_FINALIZED: ServicingType.CLEAN_INSTALL,
    State.AB_UPDATE_FINALIZED: ServicingType.AB_UPDATE,
}


@dataclass(frozen=True)
class Failure:
    """A check that failed: how messages call it, and why."""

    check: str
    why: str


def checked_servicing(state: State) -> ServicingType | None:
    """The kind of servicing whose checks run at a commit in this state; None where there are no checks.

    Neither a manual rollback nor the way back from failed checks has any: the system was proven before.
    """
    return _CHECKED.get(state)


def at_commit(state: State, *, expected_root: bool, failures: Sequence[Failure]) -> Trigger:
    """What happened: the machine started another root, it is not well, or what was done is to stay."""
    if not expected_root:
        return Trigger.OTHER_ROOT
    return Trigger.UNHEALTHY if failures and checked_servicing(state) else Trigger.COMMITTED


def after_runtime_update(failures: Sequence[Failure]) -> Trigger:
    """What happened to a runtime update that was applied: it stays, or what was there before has to come back."""
    return Trigger.UNDONE if failures else Trigger.FINALIZED


def health_error(failures: Sequence[Failure]) -> ServicingError:
    """The error of failed checks, with the messages of all of them."""
    count = f"{len(failures)} health check{'s' if len(failures) > 1 else ''} failed"
    return ServicingError("health-checks-failed", f"{count}: {'; '.join(map(_line, failures))}")


def log_name(now: datetime) -> str:
    """The name of the file, beside the datastore, that keeps what failed checks said."""
    return f"trident-health-check-failure-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.log"


def log_text(failures: Sequence[Failure]) -> str:
    """The text of that file."""
    return "".join(f"{_line(failure)}\n" for failure in failures)


def _line(failure: Failure) -> str:
    return f"{failure.check}: {failure.why}"
