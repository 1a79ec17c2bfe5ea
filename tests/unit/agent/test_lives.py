"""Lives of machines: rows of the specification one after the other, each status through a datastore."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.agent.statuses import config, status

from twinroot.agent.datastore import Datastore
from twinroot.agent.host_status import HostStatus, after
from twinroot.agent.states import COMMITTABLE, TRANSITIONS, State, Trigger
from twinroot.config.host.config import HostConfig

S, T = State, Trigger
SPECS = [config(digit) for digit in "123456"]

# What happens to a machine, and the states that it goes through.
LIVES: dict[str, list[tuple[Trigger, State]]] = {
    "installed": [
        (T.INSTALL_STAGED, S.CLEAN_INSTALL_STAGED), (T.FINALIZED, S.CLEAN_INSTALL_FINALIZED),
        (T.COMMITTED, S.PROVISIONED),
    ],
    "installed with another configuration than was staged": [
        (T.INSTALL_STAGED, S.CLEAN_INSTALL_STAGED), (T.RESET, S.NOT_PROVISIONED),
        (T.INSTALL_STAGED, S.CLEAN_INSTALL_STAGED), (T.FINALIZED, S.CLEAN_INSTALL_FINALIZED),
        (T.COMMITTED, S.PROVISIONED),
    ],
    "installed at the third try": [
        (T.INSTALL_STAGED, S.CLEAN_INSTALL_STAGED), (T.FINALIZED, S.CLEAN_INSTALL_FINALIZED),
        (T.UNHEALTHY, S.NOT_PROVISIONED),
        (T.INSTALL_STAGED, S.CLEAN_INSTALL_STAGED), (T.FINALIZED, S.CLEAN_INSTALL_FINALIZED),
        (T.OTHER_ROOT, S.NOT_PROVISIONED),
        (T.INSTALL_STAGED, S.CLEAN_INSTALL_STAGED), (T.FINALIZED, S.CLEAN_INSTALL_FINALIZED),
        (T.COMMITTED, S.PROVISIONED),
    ],
}  # fmt: skip
_INSTALLED = LIVES["installed"]
_TO_FINALIZED = [(T.AB_UPDATE_STAGED, S.AB_UPDATE_STAGED), (T.FINALIZED, S.AB_UPDATE_FINALIZED)]
LIVES |= {
    "updated": [*_INSTALLED, *_TO_FINALIZED, (T.COMMITTED, S.PROVISIONED)],
    "updated, but the old root came up": [*_INSTALLED, *_TO_FINALIZED, (T.OTHER_ROOT, S.PROVISIONED)],
    "updated, unhealthy, and back": [
        *_INSTALLED, *_TO_FINALIZED, (T.UNHEALTHY, S.AB_UPDATE_HEALTH_CHECK_FAILED), (T.COMMITTED, S.PROVISIONED),
    ],
    "updated, unhealthy, and back at the second start": [
        *_INSTALLED, *_TO_FINALIZED, (T.UNHEALTHY, S.AB_UPDATE_HEALTH_CHECK_FAILED),
        (T.OTHER_ROOT, S.AB_UPDATE_HEALTH_CHECK_FAILED), (T.COMMITTED, S.PROVISIONED),
    ],
    "updated twice before it started": [
        *_INSTALLED, *_TO_FINALIZED, (T.FINALIZED, S.AB_UPDATE_FINALIZED), (T.RESET, S.PROVISIONED), *_TO_FINALIZED,
        (T.OTHER_ROOT, S.PROVISIONED), *_TO_FINALIZED, (T.RESET, S.PROVISIONED),
        (T.RUNTIME_UPDATE_STAGED, S.RUNTIME_UPDATE_STAGED), (T.UNDONE, S.PROVISIONED),
    ],
    "updated with another configuration than was staged": [
        *_INSTALLED, (T.AB_UPDATE_STAGED, S.AB_UPDATE_STAGED), (T.RESET, S.PROVISIONED), *_TO_FINALIZED,
        (T.COMMITTED, S.PROVISIONED),
    ],
    "updated while it runs, and back": [
        *_INSTALLED, (T.RUNTIME_UPDATE_STAGED, S.RUNTIME_UPDATE_STAGED), (T.FINALIZED, S.PROVISIONED),
        (T.RUNTIME_UPDATE_STAGED, S.RUNTIME_UPDATE_STAGED), (T.UNDONE, S.PROVISIONED),
        (T.RUNTIME_UPDATE_STAGED, S.RUNTIME_UPDATE_STAGED), (T.RESET, S.PROVISIONED),
        (T.ROLLBACK_RUNTIME_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED), (T.UNDONE, S.PROVISIONED),
        (T.ROLLBACK_RUNTIME_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED), (T.FINALIZED, S.PROVISIONED),
    ],
    "updated and rolled back": [
        *_INSTALLED, *_TO_FINALIZED, (T.COMMITTED, S.PROVISIONED),
        (T.ROLLBACK_RUNTIME_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED),
        (T.ROLLBACK_RUNTIME_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED),
        (T.ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_AB_STAGED), (T.ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_AB_STAGED),
        (T.FINALIZED, S.MANUAL_ROLLBACK_AB_FINALIZED), (T.OTHER_ROOT, S.PROVISIONED),
        (T.ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_AB_STAGED),
        (T.ROLLBACK_RUNTIME_STAGED, S.MANUAL_ROLLBACK_RUNTIME_STAGED),
        (T.ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_AB_STAGED),
        (T.FINALIZED, S.MANUAL_ROLLBACK_AB_FINALIZED), (T.FINALIZED, S.MANUAL_ROLLBACK_AB_FINALIZED),
        (T.COMMITTED, S.PROVISIONED),
    ],
}  # fmt: skip


class Machine:
    """What runs on it, and what the agent notes. Each configuration that it is asked for is another one."""

    def __init__(self) -> None:
        self.status = status(S.NOT_PROVISIONED, HostConfig())
        self.running = HostConfig()
        self.volume: str | None = None
        self._asked = 0

    def live(self, trigger: Trigger) -> None:
        """One thing happens."""
        before = self.status
        self._asked += 1
        new = SPECS[self._asked % len(SPECS)]
        self.status = after(before, TRANSITIONS[before.servicing_state][trigger], new_spec=new, error="new")
        started = trigger is T.COMMITTED and before.servicing_state is not S.AB_UPDATE_HEALTH_CHECK_FAILED
        applied = trigger is T.FINALIZED and self.status.servicing_state is S.PROVISIONED
        if started or applied:
            self.running = before.spec
        if started:
            self.volume = "volume-b" if self.volume == "volume-a" else "volume-a"

    def check(self) -> None:
        """Whatever happened: at rest the status is that of what runs, and the slot is the one that was committed."""
        if self.status.servicing_state is S.PROVISIONED:
            assert (self.status.spec, self.status.spec_old) == (self.running, HostConfig())
        assert self.status.ab_active_volume == self.volume


@pytest.mark.parametrize("name", LIVES)
def test_a_life(name: str, tmp_path: Path) -> None:
    machine, written = Machine(), list[HostStatus]()
    for trigger, state in LIVES[name]:
        machine.live(trigger)
        assert machine.status.servicing_state is state
        machine.check()
        with Datastore.create(tmp_path / "state.sqlite") as store:
            store.write(machine.status)
        with Datastore.open(tmp_path / "state.sqlite") as store:
            assert store.status() == machine.status
        written.append(machine.status)
    with Datastore.open(tmp_path / "state.sqlite") as store:
        kept = [each for each, last in zip(written, [None, *written], strict=False) if each != last]
        assert list(store.history()) == kept[::-1]


def test_lives_walk_every_transition() -> None:
    walked = set()
    for life in LIVES.values():
        state = S.NOT_PROVISIONED
        for trigger, after_it in life:
            walked.add((state, trigger))
            state = after_it
    assert walked == {(state, trigger) for state, found in TRANSITIONS.items() for trigger in found}


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 20), max_size=30))
def test_any_life(choices: list[int]) -> None:
    machine = Machine()
    for choice in choices:
        possible = list(TRANSITIONS[machine.status.servicing_state])
        machine.live(possible[choice % len(possible)])
        machine.check()


@pytest.mark.parametrize("state", State)
def test_no_state_is_for_ever(state: State) -> None:
    """From each, some way leads to rest; a commit is one of them where the machine waits for its start."""
    reached, waiting = {state}, [state]
    while waiting:
        for found in TRANSITIONS[waiting.pop()].values():
            if found.to not in reached:
                reached.add(found.to)
                waiting.append(found.to)
    assert S.PROVISIONED in reached
    assert state not in COMMITTABLE or T.COMMITTED in TRANSITIONS[state]
