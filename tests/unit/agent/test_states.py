"""Every transition of the specification is walked, from a status to the status that it says; and there is no other."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.agent.statuses import config, status

from twinroot.agent.errors import CATEGORIES
from twinroot.agent.host_status import after
from twinroot.agent.states import COMMITTABLE, TRANSITIONS, ServicingType, State, Trigger
from twinroot.config.host.config import HostConfig

S, T = State, Trigger
OLD, SPEC, NEW, NONE = config("1"), config("2"), config("3"), HostConfig()
CHECK = "health-checks-failed"

# before, trigger; after: state, spec, old spec, active volume (B before), recorded error, error of the command, reboot
WALK: list[tuple[State, Trigger, State, HostConfig, HostConfig, str, str | None, str | None, bool]] = [
    (S.NOT_PROVISIONED, T.INSTALL_STAGED, S.CLEAN_INSTALL_STAGED, NEW, SPEC, "volume-b", None, None, False),
    (S.CLEAN_INSTALL_STAGED, T.RESET, S.NOT_PROVISIONED, NONE, NONE, "volume-b", "before", None, False),
    (S.CLEAN_INSTALL_STAGED, T.FINALIZED, S.CLEAN_INSTALL_FINALIZED, SPEC, OLD, "volume-b", None, None, True),
    (S.CLEAN_INSTALL_FINALIZED, T.COMMITTED, S.PROVISIONED, SPEC, NONE, "volume-a", None, None, False),
    (S.CLEAN_INSTALL_FINALIZED, T.UNHEALTHY, S.NOT_PROVISIONED, SPEC, OLD, "volume-b", "new", CHECK, False),
    (S.CLEAN_INSTALL_FINALIZED, T.OTHER_ROOT, S.NOT_PROVISIONED, NONE, NONE, "volume-b", "new",
        "clean-install-reboot-check", False),
    (S.PROVISIONED, T.AB_UPDATE_STAGED, S.AB_UPDATE_STAGED, NEW, SPEC, "volume-b", None, None, False),
    (S.PROVISIONED, T.RUNTIME_UPDATE_STAGED, S.RUNTIME_UPDATE_STAGED, NEW, SPEC, "volume-b", None, None, False),
    (S.AB_UPDATE_STAGED, T.RESET, S.PROVISIONED, OLD, NONE, "volume-b", "before", None, False),
    (S.RUNTIME_UPDATE_STAGED, T.RESET, S.PROVISIONED, OLD, NONE, "volume-b", "before", None, False),
    (S.RUNTIME_UPDATE_STAGED, T.FINALIZED, S.PROVISIONED, SPEC, NONE, "volume-b", None, None, False),
    (S.RUNTIME_UPDATE_STAGED, T.UNDONE, S.PROVISIONED, OLD, NONE, "volume-b", "before", None, False),
    (S.AB_UPDATE_STAGED, T.FINALIZED, S.AB_UPDATE_FINALIZED, SPEC, OLD, "volume-b", None, None, True),
    (S.AB_UPDATE_FINALIZED, T.COMMITTED, S.PROVISIONED, SPEC, NONE, "volume-a", None, None, False),
    (S.AB_UPDATE_FINALIZED, T.UNHEALTHY, S.AB_UPDATE_HEALTH_CHECK_FAILED, SPEC, OLD, "volume-b", "new", CHECK, True),
    (S.AB_UPDATE_FINALIZED, T.OTHER_ROOT, S.PROVISIONED, OLD, NONE, "volume-b", "new", "ab-update-reboot-check", False),
    (S.AB_UPDATE_FINALIZED, T.RESET, S.PROVISIONED, OLD, NONE, "volume-b", "before", None, False),
    (S.AB_UPDATE_FINALIZED, T.FINALIZED, S.AB_UPDATE_FINALIZED, SPEC, OLD, "volume-b", None, None, True),
    (S.AB_UPDATE_HEALTH_CHECK_FAILED, T.COMMITTED, S.PROVISIONED, OLD, NONE, "volume-b", "before",
        "ab-update-health-check-commit-check", False),
    (S.AB_UPDATE_HEALTH_CHECK_FAILED, T.OTHER_ROOT, S.AB_UPDATE_HEALTH_CHECK_FAILED, SPEC, OLD, "volume-b", "before",
        "ab-update-reboot-check", False),
    (S.PROVISIONED, T.ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_AB_STAGED, NEW, SPEC, "volume-b", None, None, False),
    (S.PROVISIONED, T.ROLLBACK_RUNTIME_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED, NEW, SPEC, "volume-b", None, None,
        False),
    *((before, trigger, to, NEW, OLD, "volume-b", None, None, False)
        for before in (S.MANUAL_ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED)
        for trigger, to in ((T.ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_AB_STAGED),
            (T.ROLLBACK_RUNTIME_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED))),
    (S.MANUAL_ROLLBACK_RUNTIME_STAGED, T.FINALIZED, S.PROVISIONED, SPEC, NONE, "volume-b", None, None, False),
    # Ours: the peer leaves a rollback that failed as it is.
    (S.MANUAL_ROLLBACK_RUNTIME_STAGED, T.UNDONE, S.PROVISIONED, OLD, NONE, "volume-b", "before", None, False),
    (S.MANUAL_ROLLBACK_AB_STAGED, T.FINALIZED, S.MANUAL_ROLLBACK_AB_FINALIZED, SPEC, OLD, "volume-b", None, None,
        True),
    (S.MANUAL_ROLLBACK_AB_FINALIZED, T.FINALIZED, S.MANUAL_ROLLBACK_AB_FINALIZED, SPEC, OLD, "volume-b", None, None,
     True),
    (S.MANUAL_ROLLBACK_AB_FINALIZED, T.COMMITTED, S.PROVISIONED, SPEC, NONE, "volume-a", None, None, False),
    (S.MANUAL_ROLLBACK_AB_FINALIZED, T.OTHER_ROOT, S.PROVISIONED, OLD, NONE, "volume-b", "new",
        "manual-rollback-reboot-check",
        False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "trigger", "to", "spec", "old", "volume", "recorded", "error", "reboot"),
    WALK,
    ids=lambda value: value if isinstance(value, State) else value.name if isinstance(value, Trigger) else "",
)
def test_a_transition(
    before: State, trigger: Trigger, to: State, spec: HostConfig, old: HostConfig, volume: str, recorded: Any,
    error: str | None, reboot: bool,
) -> None:  # fmt: skip
    transition = TRANSITIONS[before][trigger]
    start = status(before, SPEC, OLD, ab_active_volume="volume-b", last_error="before")
    found = after(start, transition, new_spec=NEW, error="new")
    assert found.servicing_state is to
    assert (found.spec, found.spec_old) == (spec, old)
    assert (found.ab_active_volume, found.last_error) == (volume, recorded)
    assert (transition.error, transition.reboot) == (error, reboot)
    assert transition.error is None or transition.error in CATEGORIES


def test_nothing_else_is_possible() -> None:
    assert {(state, trigger) for state, found in TRANSITIONS.items() for trigger in found} == {
        (before, trigger) for before, trigger, *_ in WALK
    }
    assert set(TRANSITIONS) == set(State)


def test_the_first_volume_is_a() -> None:
    start = status(State.CLEAN_INSTALL_FINALIZED, SPEC)
    volumes: list[str | None] = [None]
    for _ in range(3):
        start = after(start, TRANSITIONS[State.CLEAN_INSTALL_FINALIZED][Trigger.COMMITTED])
        volumes.append(start.ab_active_volume)
    assert volumes == [None, "volume-a", "volume-b", "volume-a"]


def test_what_a_commit_looks_at() -> None:
    finalized = {state for state in State if state.value.endswith("-finalized")}
    assert finalized | {State.AB_UPDATE_HEALTH_CHECK_FAILED} == COMMITTABLE


def test_the_order_of_servicing_types() -> None:
    assert [found.value for found in sorted(ServicingType, key=lambda found: found.rank)] == [
        "no-active-servicing", "runtime-update", "ab-update", "clean-install", "manual-rollback-ab",
        "manual-rollback-runtime",
    ]  # fmt: skip
