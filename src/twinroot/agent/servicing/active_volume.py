"""Whether the half that runs is the one that the status says. Little is imported: every start of a machine needs it."""

from __future__ import annotations

from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.servicing.job import root_path
from twinroot.agent.servicing.machine import root_device


def check_active_volume(status: HostStatus) -> None:
    """ServicingError unless the machine runs from the half that the status says, so that the other one is free."""
    if status.ab_active_volume is None:
        return
    expected = root_path(status, status.spec, status.ab_active_volume)
    if not root_device().lies_on(expected):
        message = f"the status says that {status.ab_active_volume} runs, but / is not on {expected}"
        hint = "restart the machine, and look at: trident get status"
        raise ServicingError("root-device-path-ab-active-volume-mismatch", message, hint=hint)
