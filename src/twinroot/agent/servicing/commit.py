"""`trident commit`: after a restart, whether the system that was armed started and is well (servicing spec, section 9).

Firmware first, status last: until that is written, the same commit is made again at the next start.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from twinroot.agent.boot import slots
from twinroot.agent.boot.trial import is_trial
from twinroot.agent.boot.ukis import SELECTED, is_trial_entry
from twinroot.agent.errors import ServicingError
from twinroot.agent.health.checks import keep_failures, run_checks
from twinroot.agent.health.verdict import Failure, at_commit, checked_servicing, health_error
from twinroot.agent.host_status import AbVolume, HostStatus
from twinroot.agent.servicing import boot
from twinroot.agent.servicing.active_volume import check_active_volume
from twinroot.agent.servicing.agent import Agent, Outcome, Result
from twinroot.agent.servicing.job import root_path
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.servicing.machine import RootDevice, kernel_command_line, root_device
from twinroot.agent.states import COMMITTABLE, TRANSITIONS, State, Trigger
from twinroot.agent.storage.devices import Devices
from twinroot.formats.efi_boot import HardDrive, read_text

log = logging.getLogger(__name__)

PATIENCE = 15  # seconds for the device of a half to appear
TRIAL_OVER = boot.RUN / "trial-over"
"""Tells `trident-trial.service` that the system that runs is to stay."""

_MESSAGES = {
    "ab-update-reboot-check": "the machine started its old system instead of the one that it was updated to",
    "clean-install-reboot-check": "the machine did not start the system that was installed",
    "manual-rollback-reboot-check": "the machine did not start the system that it was to go back to",
    "ab-update-health-check-commit-check": "health checks of the new system failed, and the machine is back on its "
    "old one",
}


def commit(agent: Agent, ledger: Ledger) -> Result:
    """Keep the system that was started, or notice that it is not the one that was meant or not well."""
    state = ledger.status.servicing_state
    if state not in COMMITTABLE:
        log.info("No servicing is in progress: there is nothing to commit")
        if _on_trial(agent):
            # It may be a half that the status knows nothing of, which is not to stay.
            check_active_volume(ledger.status)
            _end_trial()
        return Result(Outcome.DONE)
    if agent.restart_is_due:
        log.warning("The machine was not restarted yet, so that there is nothing to commit")
        return Result(Outcome.DONE)
    started = _is_expected(ledger.status)
    failures = _check(ledger.status) if started else ()
    trigger = at_commit(state, expected_root=started, failures=failures)
    error = _error(state, trigger, failures)
    if trigger is Trigger.COMMITTED and state is not State.AB_UPDATE_HEALTH_CHECK_FAILED:
        _settle_boot(agent, ledger.status)
    if trigger is Trigger.OTHER_ROOT and state is State.MANUAL_ROLLBACK_AB_FINALIZED:
        _stay(agent, ledger.status)
    if failures:
        log.error("%s", error)
        keep_failures(agent.datastore.parent, failures)
    transition = ledger.move(trigger, error=error.record() if error else None)
    if error is None:
        log.info("The system that runs is committed")
        if _on_trial(agent):
            _end_trial()
    return Result(Outcome.REBOOT if transition.reboot else Outcome.DONE, error)


def without_status(agent: Agent) -> None:
    """On a machine without a datastore there is nothing to commit. ServicingError where one was meant to be."""
    if _on_trial(agent):
        message = f"the system that runs is on trial, but there is no datastore at {agent.datastore}"
        hint = "see DatastorePath in /etc/trident/trident.conf; the machine starts its old system again"
        raise ServicingError("host-not-provisioned", message, hint=hint)
    log.info("Nothing to do: there is no datastore at %s", agent.datastore)
    log.info("To update this machine, tell it what it is with: trident offline-initialize")


def _on_trial(agent: Agent) -> bool:
    """Whether the system that runs is restarted unless it is committed (`agent/boot/trial.py`)."""
    selected = agent.variables.read(SELECTED)
    return is_trial(kernel_command_line()) or (selected is not None and is_trial_entry(read_text(selected)))


def _end_trial() -> None:
    """What restarts a system on trial lets this one be."""
    boot.RUN.mkdir(parents=True, exist_ok=True)
    TRIAL_OVER.touch()


def expected_volume(status: HostStatus) -> AbVolume:
    """The half that a machine should have started, by what was done with it."""
    other: AbVolume = "volume-a" if status.ab_active_volume != "volume-a" else "volume-b"
    if status.servicing_state is State.AB_UPDATE_HEALTH_CHECK_FAILED:
        return status.ab_active_volume or "volume-a"
    return other


def _is_expected(status: HostStatus) -> bool:
    """Whether the root that runs is the expected one. ServicingError where that cannot be told.

    A device that is not there yet, as udev is late, is no proof that the machine started another one.
    """
    expected = root_path(status, status.spec, expected_volume(status))
    for left in reversed(range(PATIENCE)):
        running = root_device()
        if expected.is_block_device() or _runs_from_the_other(status, running):
            return running.lies_on(expected)
        time.sleep(1 if left else 0)
    message = f"{expected}, from which the machine should have started, is not there"
    hint = "is udev running? Then run the command again, or restart the machine"
    raise ServicingError("root-device-path-ab-active-volume-mismatch", message, hint=hint)


def _runs_from_the_other(status: HostStatus, running: RootDevice) -> bool:
    other: AbVolume = "volume-a" if expected_volume(status) == "volume-b" else "volume-b"
    return running.lies_on(root_path(status, status.spec, other))


def _check(status: HostStatus) -> tuple[Failure, ...]:
    servicing = checked_servicing(status.servicing_state)
    return run_checks(status.spec.health.checks, servicing) if servicing else ()


def _settle_boot(agent: Agent, status: HostStatus) -> None:
    volume = expected_volume(status)
    with _boot_side(agent, status, volume) as (side, partitions):
        slots.commit(side, volume, partitions, reorder=status.servicing_state is State.AB_UPDATE_FINALIZED)


def _stay(agent: Agent, status: HostStatus) -> None:
    """A rollback that did not start: the firmware no longer begins with the half that it was to go back to."""
    volume = status.ab_active_volume
    if volume and root_device().lies_on(root_path(status, status.spec, volume)):
        with _boot_side(agent, status, volume) as (side, partitions):
            slots.stay(side, volume, partitions)


@contextmanager
def _boot_side(
    agent: Agent, status: HostStatus, volume: AbVolume
) -> Iterator[tuple[slots.BootSide, tuple[HardDrive, ...]]]:
    devices = Devices(status.spec.storage, dict(status.partition_paths), volume)
    partitions = boot.esp_partitions(devices, status.spec)
    with boot.mounted_esp(boot.esp_device(devices, status.spec)) as esp:
        yield boot.boot_side(status.spec, status.install_index, esp, agent.variables), partitions


def _error(state: State, trigger: Trigger, failures: tuple[Failure, ...]) -> ServicingError | None:
    name = TRANSITIONS[state][trigger].error
    if name is None:
        return None
    return health_error(failures) if failures else ServicingError(name, _MESSAGES[name])
