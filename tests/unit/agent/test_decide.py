"""What `install` and `update` do in each state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.agent.statuses import config, status

from twinroot.agent.decide import Action, Allowed, install_action, update_action
from twinroot.agent.errors import ServicingError
from twinroot.agent.states import State

S, A = State, Action
BOTH, STAGE, FINALIZE, NEITHER = Allowed(), Allowed(finalize=False), Allowed(stage=False), Allowed(False, False)

UPDATES: list[tuple[State, bool, Allowed, Action]] = [
    # state, whether the configuration is the stored one, what is allowed
    (S.PROVISIONED, False, BOTH, A.STAGE),
    (S.PROVISIONED, False, STAGE, A.STAGE),
    (S.PROVISIONED, False, FINALIZE, A.NOTHING),
    (S.PROVISIONED, True, BOTH, A.STAGE),
    (S.PROVISIONED, True, NEITHER, A.NOTHING),
    (S.AB_UPDATE_FINALIZED, False, BOTH, A.RESET_AND_STAGE),
    (S.AB_UPDATE_FINALIZED, False, FINALIZE, A.NOTHING),
    (S.AB_UPDATE_FINALIZED, True, BOTH, A.FINALIZE),
    (S.AB_UPDATE_FINALIZED, True, STAGE, A.NOTHING),
    (S.AB_UPDATE_STAGED, False, BOTH, A.RESET_AND_STAGE),
    (S.AB_UPDATE_STAGED, False, FINALIZE, A.NOTHING),
    (S.AB_UPDATE_STAGED, True, BOTH, A.FINALIZE),
    (S.AB_UPDATE_STAGED, True, FINALIZE, A.FINALIZE),
    (S.AB_UPDATE_STAGED, True, STAGE, A.NOTHING),
    (S.RUNTIME_UPDATE_STAGED, False, STAGE, A.RESET_AND_STAGE),
    (S.RUNTIME_UPDATE_STAGED, True, BOTH, A.FINALIZE),
    (S.RUNTIME_UPDATE_STAGED, True, NEITHER, A.NOTHING),
]
INSTALLS: list[tuple[State, bool, Allowed, Action]] = [
    (S.NOT_PROVISIONED, False, BOTH, A.STAGE),
    (S.NOT_PROVISIONED, False, FINALIZE, A.NOTHING),
    (S.NOT_PROVISIONED, True, BOTH, A.STAGE),
    (S.CLEAN_INSTALL_STAGED, False, BOTH, A.RESET_AND_STAGE),
    (S.CLEAN_INSTALL_STAGED, False, FINALIZE, A.NOTHING),
    (S.CLEAN_INSTALL_STAGED, True, BOTH, A.FINALIZE),
    (S.CLEAN_INSTALL_STAGED, True, STAGE, A.NOTHING),
]


@pytest.mark.parametrize(("state", "same", "allowed", "action"), UPDATES)
def test_update(state: State, same: bool, allowed: Allowed, action: Action) -> None:
    assert update_action(status(state, config("1")), config("1" if same else "2"), allowed) is action


@pytest.mark.parametrize(("state", "same", "allowed", "action"), INSTALLS)
def test_install(state: State, same: bool, allowed: Allowed, action: Action) -> None:
    assert install_action(status(state, config("1")), config("1" if same else "2"), allowed) is action


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(("decide", "table"), [(update_action, UPDATES), (install_action, INSTALLS)])
def test_other_states_are_errors(
    decide: Callable[..., Action], table: list[tuple[State, bool, Allowed, Action]], state: State
) -> None:
    if state in {row[0] for row in table}:
        return
    with pytest.raises(ServicingError, match=state) as found:
        decide(status(state, config("1")), config("2"), BOTH)
    assert (found.value.name, found.value.category) == ("unexpected-servicing-state", "internal")
