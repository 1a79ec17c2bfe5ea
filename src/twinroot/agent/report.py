"""What `trident get` prints (servicing spec, section 2.5). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twinroot.agent.host_status import HostStatus, plain_status
from twinroot.agent.rollback import rollback_chain
from twinroot.config.host.normal import normal


def report(kind: str, status: HostStatus | None, history: Iterable[HostStatus]) -> Any:
    """Plain data: `status`, `configuration`, `last-error`, `rollback-chain` or `rollback-target`.

    `history` comes newest first, and is read only where it is needed. Without a status it is that of a machine on which
    nothing is installed.
    """
    current = status or HostStatus()
    if kind in ("rollback-chain", "rollback-target"):
        chain = rollback_chain(history)
        if kind == "rollback-chain":
            return [item.plain() for item in chain]
        return normal(chain[0].spec) if chain else {}
    if kind == "configuration":
        return normal(current.spec)
    return current.last_error if kind == "last-error" else plain_status(current)
