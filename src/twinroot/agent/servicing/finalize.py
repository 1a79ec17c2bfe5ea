"""Finalizing: what was staged starts next time (servicing spec, 6.2, 7.2).

The datastore says so first. If power fails between it and the firmware's variables, the machine starts the old system,
whose commit finds that the new one did not start, and can be updated again. In the other order a new system would run
that nobody knows of.
"""

from __future__ import annotations

import logging

from twinroot.agent.boot import fat_files, slots
from twinroot.agent.errors import ServicingError
from twinroot.agent.servicing import boot
from twinroot.agent.servicing.agent import Agent, Outcome, Result
from twinroot.agent.servicing.job import devices_of
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.states import ServicingType, Trigger
from twinroot.config.host.internal_params import is_set

log = logging.getLogger(__name__)


def finalize_update(agent: Agent, ledger: Ledger) -> Result:
    """Have the firmware start the other half next time, once."""
    before = ledger.status
    config = before.spec
    devices = devices_of(before, config, ServicingType.AB_UPDATE)
    partitions = boot.esp_partitions(devices, config)
    with boot.mounted_esp(boot.esp_device(devices, config)) as esp:
        side = boot.boot_side(config, before.install_index, esp, agent.variables)
        check_slot(side, side.label(devices.volume))
        ledger.move(Trigger.FINALIZED)
        try:
            agent.note_arming()
            slots.arm(side, devices.volume, before.ab_active_volume, partitions, install=False)
        except BaseException:
            if slots.stand_down(side, devices.volume):
                agent.note_standing_down()
                ledger.write(before)
            raise
    return transition_result(ledger)


def check_slot(side: slots.BootSide, label: str) -> None:
    """ServicingError unless the ESP has the boot files of a slot: nothing is armed that cannot start."""
    if not fat_files.names(side.esp, fat_files.locate(side.esp, f"EFI/{label}")):
        message = f"the ESP has no boot files of the system to start (EFI/{label})"
        raise ServicingError("boot-entry-check", message, hint="stage an update again")


def transition_result(ledger: Ledger) -> Result:
    """The machine has to start anew, unless the configuration keeps that for its owner."""
    if is_set(ledger.status.spec.internal_params, "noTransition"):
        log.warning("internalParams.noTransition: the machine is to be restarted by somebody else")
        return Result(Outcome.DONE)
    return Result(Outcome.REBOOT)
