"""What a command that changes the machine tells the service that it runs for, as a small JSON document. Pure.

It has what an exit code cannot say: whether the machine has to start anew, and what was done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twinroot.agent.states import ServicingType, State, Trigger

_SHA384 = re.compile(r"[0-9a-f]{96}")
_KINDS = {
    State.CLEAN_INSTALL_STAGED: ServicingType.CLEAN_INSTALL,
    State.CLEAN_INSTALL_FINALIZED: ServicingType.CLEAN_INSTALL,
    State.AB_UPDATE_STAGED: ServicingType.AB_UPDATE,
    State.AB_UPDATE_FINALIZED: ServicingType.AB_UPDATE,
    State.AB_UPDATE_HEALTH_CHECK_FAILED: ServicingType.AB_UPDATE,
    State.RUNTIME_UPDATE_STAGED: ServicingType.RUNTIME_UPDATE,
    State.MANUAL_ROLLBACK_AB_STAGED: ServicingType.MANUAL_ROLLBACK_AB,
    State.MANUAL_ROLLBACK_AB_FINALIZED: ServicingType.MANUAL_ROLLBACK_AB,
    State.MANUAL_ROLLBACK_RUNTIME_STAGED: ServicingType.MANUAL_ROLLBACK_RUNTIME,
}

Moves = Sequence[tuple[Trigger, State]]
"""What happened in a command, with the state that each led to."""


@dataclass(frozen=True)
class Report:
    """How a command ended. `image_sha384` is the hash of the metadata; `error` as the files of `--error` have it."""

    restart: bool = False
    kind: ServicingType = ServicingType.NONE
    image_sha384: str | None = None
    error: dict[str, Any] | None = None
    hint: str | None = None

    def text(self) -> str:
        """The report as a JSON document."""
        return json.dumps(self.__dict__)


def read_report(text: str) -> Report | None:
    """The report from its document; None for what is none, such as the empty file of a command that was killed."""
    try:
        found = json.loads(text)
        return Report(**{**found, "kind": ServicingType(found["kind"])})
    except (ValueError, TypeError, KeyError):
        return None


def known_hash(sha384: str | None) -> str | None:
    """The hash of an image in a configuration, unless that says that nobody wants to check one."""
    return sha384 if sha384 and _SHA384.fullmatch(sha384) else None


def servicing_kind(began: State, moves: Moves) -> ServicingType:
    """Which kind of servicing a command was part of, from the state that it found and all that it came to.

    What was staged before, and given up, does not count.
    """
    states = [began]
    for trigger, state in moves:
        states = [state] if trigger is Trigger.RESET else [*states, state]
    kinds = [_KINDS[state] for state in states if state in _KINDS]
    return kinds[-1] if moves and kinds else ServicingType.NONE
