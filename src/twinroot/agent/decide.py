"""What `install` and `update` have to do, from the status, the configuration and what is allowed. Pure.

Servicing spec, sections 3 and 6. What a configuration asks for is in `select`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig


class Action(Enum):
    """What comes first; after STAGE follows finalizing where it is allowed."""

    NOTHING = auto()
    STAGE = auto()
    RESET_AND_STAGE = auto()
    """What is staged is for another configuration: it is given up first."""
    FINALIZE = auto()


@dataclass(frozen=True)
class Allowed:
    """The operations that the caller allows."""

    stage: bool = True
    finalize: bool = True


# What was finalized and has not been started yet can be finalized again, or given up.
_UPDATE_STAGED = (State.AB_UPDATE_STAGED, State.RUNTIME_UPDATE_STAGED, State.AB_UPDATE_FINALIZED)
_UPDATABLE = (State.PROVISIONED,)


def update_action(status: HostStatus, new: HostConfig, allowed: Allowed) -> Action:
    """What `update` does; ServicingError in a state in which no update can begin."""
    return _action(status, new, allowed, fresh=_UPDATABLE, staged=_UPDATE_STAGED)


def install_action(status: HostStatus, new: HostConfig, allowed: Allowed) -> Action:
    """What `install` does; ServicingError in a state in which no installation can begin."""
    return _action(status, new, allowed, fresh=(State.NOT_PROVISIONED,), staged=(State.CLEAN_INSTALL_STAGED,))


def _action(
    status: HostStatus, new: HostConfig, allowed: Allowed, *, fresh: tuple[State, ...], staged: tuple[State, ...]
) -> Action:
    """`fresh` are the states from which one stages, `staged` those in which something is."""
    state = status.servicing_state
    if state in fresh:
        return Action.STAGE if allowed.stage else Action.NOTHING
    if state not in staged:
        message = f"this cannot be done while the machine is in the state {state}"
        raise ServicingError("unexpected-servicing-state", message, hint="see: trident get status")
    if status.spec != new:
        return Action.RESET_AND_STAGE if allowed.stage else Action.NOTHING
    return Action.FINALIZE if allowed.finalize else Action.NOTHING
