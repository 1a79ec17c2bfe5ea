"""What a machine can go back to, from the history of its statuses (servicing spec, section 10.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from twinroot.agent.errors import ServicingError, tells_of_staging
from twinroot.agent.host_status import AbVolume, HostStatus
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.host.normal import normal

_IN_THE_RUNNING_SYSTEM = (State.RUNTIME_UPDATE_STAGED, State.MANUAL_ROLLBACK_RUNTIME_STAGED)
FIRST_VERSION = (0, 21, 0)
"""Statuses of older agents do not say enough."""


@dataclass(frozen=True)
class RollbackItem:
    """What was in force before an update that can be undone."""

    kind: Literal["ab", "runtime"]
    spec: HostConfig
    ab_active_volume: AbVolume | None
    install_index: int

    def plain(self) -> dict[str, Any]:
        """As `get rollback-chain` prints it."""
        return {
            "kind": self.kind,
            "spec": normal(self.spec),
            "abActiveVolume": self.ab_active_volume,
            "installIndex": self.install_index,
        }


def rollback_chain(history: Iterable[HostStatus]) -> list[RollbackItem]:
    """The updates that can be undone, newest first, from statuses that come newest first.

    It ends at what cannot be undone: the installation, a failed A/B update, a return to the other volume, a second A/B
    update (each half holds one system), the staging of another one, and at statuses that cannot be read. The peer
    goes on where staging failed or was given up, and so offers a half that was written over; it ends at an update of
    the running system that failed and was undone, after which everything is where it was.
    """
    found: list[RollbackItem] = []
    undone = 0
    overwritten = False  # the other half is none that one could go back to
    for later, earlier in pairwise(_usable(history)):
        overwritten = overwritten or tells_of_staging(later.last_error)
        if later.servicing_state is not State.PROVISIONED or earlier.servicing_state is State.PROVISIONED:
            continue
        kept = later.spec == earlier.spec  # else the update was given up or undone, and the old configuration is back
        if earlier.servicing_state in _IN_THE_RUNNING_SYSTEM and not kept:
            continue
        if later.last_error is not None:
            break
        if earlier.servicing_state is State.MANUAL_ROLLBACK_RUNTIME_STAGED:
            undone += 1
        elif earlier.servicing_state is State.RUNTIME_UPDATE_STAGED and kept:
            if undone:
                undone -= 1
            else:
                found.append(_item("runtime", earlier))
        elif earlier.servicing_state is State.AB_UPDATE_FINALIZED and kept and not overwritten:
            overwritten = True
            found.append(_item("ab", earlier))
        elif earlier.servicing_state is State.AB_UPDATE_STAGED:
            overwritten = True
        else:
            break
    return found


def chosen(chain: Sequence[RollbackItem], kind: Literal["ab", "runtime"] | None) -> RollbackItem | None:
    """The item to go back to (section 10.2), None when there is none.

    Without a kind it is the newest. A runtime update can be undone when it is that; an A/B update takes the runtime
    updates after it along, as they were made in the system that is left.
    """
    if kind == "ab":
        return next((item for item in chain if item.kind == "ab"), None)
    if kind == "runtime" and chain and chain[0].kind != "runtime":
        message = "the last update was an A/B update, so no runtime update can be undone"
        raise ServicingError("invalid-rollback-expectation", message, hint="use --ab")
    return chain[0] if chain else None


def _item(kind: Literal["ab", "runtime"], before: HostStatus) -> RollbackItem:
    return RollbackItem(kind, before.spec_old, before.ab_active_volume, before.install_index)


def _usable(history: Iterable[HostStatus]) -> Iterator[HostStatus]:
    try:
        for status in history:
            if _version(status.trident_version) < FIRST_VERSION:
                return
            yield status
    except ServicingError as error:
        if error.name != "parse-host-status":
            raise


def _version(text: str | None) -> tuple[int, ...]:
    """The numbers of a semantic version; of what is none, zeros."""
    found = re.match(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?![0-9])", text or "")
    return tuple(map(int, found.groups())) if found else (0, 0, 0)
