"""What follows from health checks, in every state in which a commit has something to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from twinroot.agent.health.verdict import (
    Failure,
    after_runtime_update,
    at_commit,
    checked_servicing,
    health_error,
    log_name,
    log_text,
)
from twinroot.agent.states import COMMITTABLE, TRANSITIONS, ServicingType, State, Trigger

S, T = State, Trigger
BAD = (Failure("health.checks[0] (web)", "it ended with exit code 1"), Failure("health.checks[2]", "no"))


@pytest.mark.parametrize(
    ("state", "expected_root", "failures", "trigger"),
    [
        (S.CLEAN_INSTALL_FINALIZED, True, (), T.COMMITTED),
        (S.CLEAN_INSTALL_FINALIZED, True, BAD, T.UNHEALTHY),
        (S.CLEAN_INSTALL_FINALIZED, False, BAD, T.OTHER_ROOT),
        (S.AB_UPDATE_FINALIZED, True, (), T.COMMITTED),
        (S.AB_UPDATE_FINALIZED, True, BAD, T.UNHEALTHY),
        (S.AB_UPDATE_FINALIZED, False, (), T.OTHER_ROOT),
        (S.AB_UPDATE_HEALTH_CHECK_FAILED, True, BAD, T.COMMITTED),
        (S.AB_UPDATE_HEALTH_CHECK_FAILED, False, (), T.OTHER_ROOT),
        (S.MANUAL_ROLLBACK_AB_FINALIZED, True, BAD, T.COMMITTED),
        (S.MANUAL_ROLLBACK_AB_FINALIZED, False, (), T.OTHER_ROOT),
    ],
)
def test_a_commit(state: State, expected_root: bool, failures: tuple[Failure, ...], trigger: Trigger) -> None:
    assert at_commit(state, expected_root=expected_root, failures=failures) == trigger
    assert trigger in TRANSITIONS[state]


def test_only_what_is_new_is_checked() -> None:
    assert {state: checked_servicing(state) for state in COMMITTABLE if checked_servicing(state)} == {
        S.CLEAN_INSTALL_FINALIZED: ServicingType.CLEAN_INSTALL,
        S.AB_UPDATE_FINALIZED: ServicingType.AB_UPDATE,
    }
    assert all(T.UNHEALTHY in TRANSITIONS[state] for state in COMMITTABLE if checked_servicing(state))


def test_a_runtime_update() -> None:
    assert after_runtime_update(()) == T.FINALIZED
    assert after_runtime_update(BAD) == T.UNDONE
    assert {T.FINALIZED, T.UNDONE} <= set(TRANSITIONS[S.RUNTIME_UPDATE_STAGED])


def test_the_error_and_the_log_have_all_messages() -> None:
    error = health_error(BAD)
    assert error.record()["category"] == "health-checks"
    assert (
        str(error) == "2 health checks failed: health.checks[0] (web): it ended with exit code 1; health.checks[2]: no"
    )
    assert str(health_error(BAD[1:])) == "1 health check failed: health.checks[2]: no"
    assert log_text(BAD) == "health.checks[0] (web): it ended with exit code 1\nhealth.checks[2]: no\n"
    assert log_name(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "trident-health-check-failure-20260102T030405Z.log"
    there = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert log_name(there).endswith("20260102T010405Z.log")
