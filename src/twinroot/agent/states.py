"""The states of servicing and every way from one to another, as data (servicing spec, section 2).

A trigger is what happened; the transition says what it makes of the status of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class ServicingType(StrEnum):
    """Kinds of servicing; those further down win when several are asked for (section 2.1)."""

    NONE = "no-active-servicing"
    RUNTIME_UPDATE = "runtime-update"
    AB_UPDATE = "ab-update"
    CLEAN_INSTALL = "clean-install"
    MANUAL_ROLLBACK_AB = "manual-rollback-ab"
    MANUAL_ROLLBACK_RUNTIME = "manual-rollback-runtime"

    @property
    def rank(self) -> int:
        """The greater one wins."""
        return list(ServicingType).index(self)


class State(StrEnum):
    """What is being done with a machine, as the datastore says it (section 2.2)."""

    NOT_PROVISIONED = "not-provisioned"
    CLEAN_INSTALL_STAGED = "clean-install-staged"
    CLEAN_INSTALL_FINALIZED = "clean-install-finalized"
    AB_UPDATE_STAGED = "ab-update-staged"
    AB_UPDATE_FINALIZED = "ab-update-finalized"
    AB_UPDATE_HEALTH_CHECK_FAILED = "ab-update-health-check-failed"
    RUNTIME_UPDATE_STAGED = "runtime-update-staged"
    MANUAL_ROLLBACK_AB_STAGED = "manual-rollback-ab-staged"
    MANUAL_ROLLBACK_AB_FINALIZED = "manual-rollback-ab-finalized"
    MANUAL_ROLLBACK_RUNTIME_STAGED = "manual-rollback-runtime-staged"
    PROVISIONED = "provisioned"


class Trigger(Enum):
    """What happened. Failures that are not here leave the state as it was."""

    INSTALL_STAGED = auto()
    AB_UPDATE_STAGED = auto()
    RUNTIME_UPDATE_STAGED = auto()
    ROLLBACK_AB_STAGED = auto()
    ROLLBACK_RUNTIME_STAGED = auto()
    RESET = auto()
    """What is staged is given up for another configuration."""
    FINALIZED = auto()
    UNDONE = auto()
    """Applying a runtime update failed, and what there was before is back."""
    COMMITTED = auto()
    """The machine started from the root that was expected, and its health checks succeeded, where there are any."""
    UNHEALTHY = auto()
    """The machine started from the root that was expected, and its health checks failed."""
    OTHER_ROOT = auto()
    """The machine started from another root than was expected."""


class Spec(Enum):
    """What becomes of the configurations in the status."""

    KEPT = auto()
    NEW = auto()
    """The new one takes its place, and that which was there is the old one."""
    REPLACED = auto()
    """The new one takes its place; the old one stays."""
    SETTLED = auto()
    """It stays, and there is no old one any more."""
    RESTORED = auto()
    """The old one is back."""
    CLEARED = auto()
    """There is none."""


class Volume(Enum):
    """What becomes of the active volume."""

    KEPT = auto()
    SWITCHED = auto()
    """The other one of a pair; A when there was none."""


class LastError(Enum):
    """What becomes of the error in the status."""

    KEPT = auto()
    CLEARED = auto()
    SET = auto()


@dataclass(frozen=True)
class Transition:
    """What a trigger does. `error` is the name of the error that the command ends with, None for success."""

    to: State
    spec: Spec = Spec.KEPT
    volume: Volume = Volume.KEPT
    last_error: LastError = LastError.KEPT
    error: str | None = None
    reboot: bool = False


_S, _T = State, Trigger
_BACK = Transition(_S.PROVISIONED, Spec.RESTORED)


def _staged(to: State) -> Transition:
    return Transition(to, Spec.NEW, last_error=LastError.CLEARED)


def _old_root(error: str) -> Transition:
    return Transition(_S.PROVISIONED, Spec.RESTORED, last_error=LastError.SET, error=error)


_UPDATES = {
    _T.AB_UPDATE_STAGED: _staged(_S.AB_UPDATE_STAGED),
    _T.RUNTIME_UPDATE_STAGED: _staged(_S.RUNTIME_UPDATE_STAGED),
}
_ROLLBACKS = {
    _T.ROLLBACK_AB_STAGED: _staged(_S.MANUAL_ROLLBACK_AB_STAGED),
    _T.ROLLBACK_RUNTIME_STAGED: _staged(_S.MANUAL_ROLLBACK_RUNTIME_STAGED),
}


def _again(ways: dict[Trigger, Transition]) -> dict[Trigger, Transition]:
    """The same where another one is staged already: the old configuration is that of before both."""
    return {
        trigger: Transition(found.to, Spec.REPLACED, last_error=LastError.CLEARED) for trigger, found in ways.items()
    }


_DONE = Transition(_S.PROVISIONED, Spec.SETTLED, last_error=LastError.CLEARED)
# An error of an earlier try to commit is none of the system that runs.
_SWITCHED = Transition(_S.PROVISIONED, Spec.SETTLED, Volume.SWITCHED, last_error=LastError.CLEARED)

TRANSITIONS: dict[State, dict[Trigger, Transition]] = {
    _S.NOT_PROVISIONED: {_T.INSTALL_STAGED: _staged(_S.CLEAN_INSTALL_STAGED)},
    _S.CLEAN_INSTALL_STAGED: {
        _T.RESET: Transition(_S.NOT_PROVISIONED, Spec.CLEARED),
        _T.FINALIZED: Transition(_S.CLEAN_INSTALL_FINALIZED, last_error=LastError.CLEARED, reboot=True),
    },
    _S.CLEAN_INSTALL_FINALIZED: {
        _T.COMMITTED: _SWITCHED,
        _T.UNHEALTHY: Transition(_S.NOT_PROVISIONED, last_error=LastError.SET, error="health-checks-failed"),
        _T.OTHER_ROOT: Transition(
            _S.NOT_PROVISIONED, Spec.CLEARED, last_error=LastError.SET, error="clean-install-reboot-check"
        ),
    },
    _S.PROVISIONED: {**_UPDATES, **_ROLLBACKS},
    _S.RUNTIME_UPDATE_STAGED: {_T.RESET: _BACK, _T.FINALIZED: _DONE, _T.UNDONE: _BACK},
    _S.AB_UPDATE_STAGED: {
        _T.RESET: _BACK,
        _T.FINALIZED: Transition(_S.AB_UPDATE_FINALIZED, last_error=LastError.CLEARED, reboot=True),
    },
    _S.AB_UPDATE_FINALIZED: {
        _T.RESET: _BACK,
        _T.FINALIZED: Transition(_S.AB_UPDATE_FINALIZED, last_error=LastError.CLEARED, reboot=True),
        _T.COMMITTED: _SWITCHED,
        _T.UNHEALTHY: Transition(
            _S.AB_UPDATE_HEALTH_CHECK_FAILED, last_error=LastError.SET, error="health-checks-failed", reboot=True
        ),
        _T.OTHER_ROOT: _old_root("ab-update-reboot-check"),
    },
    _S.AB_UPDATE_HEALTH_CHECK_FAILED: {
        # Expected is the old root here; the error of the health check says more than that of the way back.
        _T.COMMITTED: Transition(_S.PROVISIONED, Spec.RESTORED, error="ab-update-health-check-commit-check"),
        _T.OTHER_ROOT: Transition(_S.AB_UPDATE_HEALTH_CHECK_FAILED, error="ab-update-reboot-check"),
    },
    _S.MANUAL_ROLLBACK_RUNTIME_STAGED: {**_again(_ROLLBACKS), _T.FINALIZED: _DONE, _T.UNDONE: _BACK},
    _S.MANUAL_ROLLBACK_AB_STAGED: {
        **_again(_ROLLBACKS),
        _T.FINALIZED: Transition(_S.MANUAL_ROLLBACK_AB_FINALIZED, last_error=LastError.CLEARED, reboot=True),
    },
    _S.MANUAL_ROLLBACK_AB_FINALIZED: {
        _T.FINALIZED: Transition(_S.MANUAL_ROLLBACK_AB_FINALIZED, last_error=LastError.CLEARED, reboot=True),
        _T.COMMITTED: _SWITCHED,
        _T.OTHER_ROOT: _old_root("manual-rollback-reboot-check"),
    },
}

COMMITTABLE = frozenset(state for state, found in TRANSITIONS.items() if Trigger.OTHER_ROOT in found)
"""States in which a commit has something to do; in all others it ends well at once (section 9)."""
