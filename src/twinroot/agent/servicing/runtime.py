"""Updates of the running system: what needs neither a new system nor a restart (servicing spec, section 8)."""

from __future__ import annotations

import logging
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.health.checks import keep_failures, run_checks
from twinroot.agent.health.verdict import health_error
from twinroot.agent.osconfig.files import load_files, write_files
from twinroot.agent.osconfig.network import apply_at_runtime
from twinroot.agent.servicing.agent import Agent, Outcome, Result, as_servicing_error
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.states import ServicingType, Trigger
from twinroot.config.host.config import HostConfig

log = logging.getLogger(__name__)

_ROOT = Path("/")


def stage(ledger: Ledger, new: HostConfig) -> None:
    """Check what will be applied. Nothing of the running system changes."""
    load_files(new.os.additional_files)
    ledger.move(Trigger.RUNTIME_UPDATE_STAGED, new_spec=new)


def finalize(agent: Agent, ledger: Ledger) -> Result:
    """Apply what is staged, an update or its undoing, and see whether the machine is well; else undo that.

    The peer reports success then. ServicingError in either case, with the machine as it was before if that could be.
    """
    old, new = ledger.status.spec_old, ledger.status.spec
    try:
        apply(old, new)
        failures = run_checks(new.health.checks, ServicingType.RUNTIME_UPDATE)
        if failures:
            keep_failures(agent.datastore.parent, failures)
            raise health_error(failures)
    except Exception as error:
        log.error("The update failed, so that the machine goes back to what it was: %s", error)
        _undo(new, old, as_servicing_error(error))
        ledger.move(Trigger.UNDONE)
        raise as_servicing_error(error) from error
    ledger.move(Trigger.FINALIZED)
    return Result(Outcome.DONE)


def _undo(new: HostConfig, old: HostConfig, why: ServicingError) -> None:
    """Go back from a configuration that failed; ServicingError with both reasons when that fails too."""
    try:
        apply(new, old)
    except Exception as error:
        said = as_servicing_error(error).message
        message = f"{why.message}; and the machine could not go back to what it was: {said}"
        hint = "put right what is wrong, and update again: nothing is undone by itself any more"
        raise ServicingError(why.name, message, hint=hint, inner=why.inner) from error


def apply(old: HostConfig, new: HostConfig) -> None:
    """Bring the running system from one configuration to another, as far as that can change in it."""
    if old.os.netplan != new.os.netplan:
        log.info("Applying the network configuration")
        apply_at_runtime(new.os.netplan)
    if left := left_alone(old, new):
        # Nobody knows what was there before.
        log.warning("What was written to these files stays there: %s", ", ".join(left))
    added = [file for file in new.os.additional_files if file not in old.os.additional_files]
    if added:
        write_files(_ROOT, load_files(added))


def left_alone(old: HostConfig, new: HostConfig) -> list[str]:
    """The files that an earlier configuration wrote, and this one does not know. Pure."""
    known = {file.destination for file in new.os.additional_files}
    return sorted({file.destination for file in old.os.additional_files} - known)
