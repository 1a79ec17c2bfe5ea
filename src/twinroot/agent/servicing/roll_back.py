"""`trident rollback`: going back to what there was before the last update (servicing spec, section 10)."""

from __future__ import annotations

import logging
from typing import Literal

from twinroot.agent.boot import slots
from twinroot.agent.decide import Allowed
from twinroot.agent.errors import ServicingError
from twinroot.agent.rollback import RollbackItem, chosen, rollback_chain
from twinroot.agent.servicing import boot, runtime
from twinroot.agent.servicing.active_volume import check_active_volume
from twinroot.agent.servicing.agent import Agent, Outcome, Result
from twinroot.agent.servicing.finalize import check_slot, transition_result
from twinroot.agent.servicing.job import devices_of
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.states import ServicingType, State, Trigger

log = logging.getLogger(__name__)

Kind = Literal["ab", "runtime"]
_STAGED: dict[State, Kind] = {
    State.MANUAL_ROLLBACK_AB_STAGED: "ab",
    State.MANUAL_ROLLBACK_AB_FINALIZED: "ab",
    State.MANUAL_ROLLBACK_RUNTIME_STAGED: "runtime",
}
_CALL_OFF = "to give up what is staged, update to the configuration in force: specOld of `trident get status`"
_WAY_OUT = {
    State.AB_UPDATE_STAGED: _CALL_OFF,
    State.AB_UPDATE_FINALIZED: _CALL_OFF,
    State.RUNTIME_UPDATE_STAGED: _CALL_OFF,
    State.AB_UPDATE_HEALTH_CHECK_FAILED: "restart the machine: it goes back to its old system by itself",
}


def roll_back(agent: Agent, ledger: Ledger, kind: Kind | None, allowed: Allowed) -> Result:
    """Go back, as far as it is allowed. ServicingError in a state from which there is no way back."""
    state = ledger.status.servicing_state
    staged = _STAGED.get(state)
    if state is not State.PROVISIONED and staged is None:
        message = f"a machine in the state {state} cannot be rolled back"
        raise ServicingError("invalid-rollback-state", message, hint=_WAY_OUT.get(state, "see: trident get status"))
    if allowed.stage and state is not State.MANUAL_ROLLBACK_AB_FINALIZED and (staged is None or staged != kind):
        item = chosen(rollback_chain(ledger.history()), kind)
        if item is None:
            log.info("There is nothing to go back to")
            return Result(Outcome.DONE)
        ledger.forget_error()
        _stage(agent, ledger, item)
    staged = _STAGED.get(ledger.status.servicing_state)
    if not allowed.finalize or staged is None:
        return Result(Outcome.DONE)
    if kind and staged != kind:
        message = f"what is staged is a rollback of the kind {staged}, not {kind}"
        raise ServicingError(
            "invalid-rollback-expectation", message, hint=f"use --{staged}, or stage the other one first"
        )
    return _finalize(agent, ledger)


def _stage(agent: Agent, ledger: Ledger, item: RollbackItem) -> None:
    if item.kind == "runtime":
        ledger.move(Trigger.ROLLBACK_RUNTIME_STAGED, new_spec=item.spec)
        return
    check_active_volume(ledger.status)
    devices = devices_of(ledger.status, item.spec, ServicingType.MANUAL_ROLLBACK_AB)
    with boot.mounted_esp(boot.esp_device(devices, item.spec)) as esp:
        side = boot.boot_side(item.spec, ledger.status.install_index, esp, agent.variables)
        check_slot(side, side.label(devices.volume))
    ledger.move(Trigger.ROLLBACK_AB_STAGED, new_spec=item.spec)


def _finalize(agent: Agent, ledger: Ledger) -> Result:
    before = ledger.status
    if before.servicing_state is State.MANUAL_ROLLBACK_RUNTIME_STAGED:
        return runtime.finalize(agent, ledger)
    active = before.ab_active_volume
    if active is None:
        raise ServicingError("manual-rollback", "the status does not say which half of the machine runs")
    devices = devices_of(before, before.spec, ServicingType.MANUAL_ROLLBACK_AB)
    partitions = boot.esp_partitions(devices, before.spec)
    with boot.mounted_esp(boot.esp_device(devices, before.spec)) as esp:
        side = boot.boot_side(before.spec, before.install_index, esp, agent.variables)
        check_slot(side, side.label(devices.volume))
        # The status comes first, for the same reason as in an update.
        ledger.move(Trigger.FINALIZED)
        try:
            agent.note_arming()
            slots.arm_rollback(side, devices.volume, active, partitions)
        except BaseException:
            if slots.stand_down(side, devices.volume):
                agent.note_standing_down()
                ledger.write(before)
            raise
    return transition_result(ledger)
