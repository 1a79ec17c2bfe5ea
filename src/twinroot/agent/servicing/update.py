"""`trident update`: what a new configuration asks for, staged and finalized (servicing spec, sections 3, 7 and 8)."""

from __future__ import annotations

import logging

from twinroot.agent.boot import slots
from twinroot.agent.decide import Action, Allowed, update_action
from twinroot.agent.errors import STAGING_BEGAN, ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.select import changed_storage, update_type
from twinroot.agent.servicing import runtime
from twinroot.agent.servicing.active_volume import check_active_volume
from twinroot.agent.servicing.agent import Agent, Outcome, Result
from twinroot.agent.servicing.boot import boot_side, esp_device, mounted_esp
from twinroot.agent.servicing.finalize import finalize_update
from twinroot.agent.servicing.image import opened_image
from twinroot.agent.servicing.job import Job, devices_of, read_materials, root_of, with_image_hash
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.servicing.stage import check_image, run_pre_servicing, write_system
from twinroot.agent.states import ServicingType, State, Trigger
from twinroot.agent.storage.devices import Devices
from twinroot.config.host.config import HostConfig
from twinroot.formats.cosi.reader import CosiFile

log = logging.getLogger(__name__)


def update(agent: Agent, ledger: Ledger, config: HostConfig, allowed: Allowed) -> Result:
    """Bring the machine to a configuration, as far as it is allowed. ServicingError when it stays as it is."""
    ledger.forget_error()
    _check_datastore(ledger.status.spec, config)
    if not allowed.stage and config.image is not None:
        config = _as_staged(config, ledger.status)
        if update_action(ledger.status, config, allowed) is Action.FINALIZE:
            return _finalize(agent, ledger)
    with opened_image(config) as cosi:
        new = with_image_hash(config, cosi) if cosi else config
        action = update_action(ledger.status, new, allowed)
        if action is Action.NOTHING:
            log.warning("There is nothing to do that --allowed-operations allows")
            return Result(Outcome.DONE)
        if action is Action.FINALIZE:
            return _finalize(agent, ledger)
        if action is Action.RESET_AND_STAGE:
            _give_up(agent, ledger)
        kind = update_type(ledger.status.spec, new)
        if kind is ServicingType.NONE:
            _record(ledger, new)
            return Result(Outcome.DONE)
        _stage(agent, ledger, new, kind, cosi)
    return _finalize(agent, ledger) if allowed.finalize else Result(Outcome.DONE)


def _stage(agent: Agent, ledger: Ledger, new: HostConfig, kind: ServicingType, cosi: CosiFile | None) -> None:
    """Stage an update."""
    changed = changed_storage(ledger.status.spec, new)
    if changed:
        message = f"an update cannot change {', '.join(f'storage.{name}' for name in changed)}"
        raise ServicingError("storage-configuration-changed", message, hint="install the machine anew for that")
    if kind is ServicingType.RUNTIME_UPDATE:
        runtime.stage(ledger, new)
        return
    if cosi is None:
        message = "this update writes a new system, and the configuration has no image to write"
        raise ServicingError("missing-os-image", message, hint="add the section image")
    check_active_volume(ledger.status)
    devices = devices_of(ledger.status, new, kind)
    _check_other_half(devices, new)
    status = ledger.status
    job = Job(kind, new, cosi, devices, status.ab_active_volume, status.install_index, agent.variables, agent.emit)
    check_image(job)
    run_pre_servicing(job)
    materials = read_materials(new, kind)
    write_system(job, materials, lambda: _begin(ledger))
    ledger.move(Trigger.AB_UPDATE_STAGED, new_spec=new)


def _check_other_half(devices: Devices, new: HostConfig) -> None:
    """ServicingError unless the new system has a root of its own to be written to."""
    if not devices.graph.is_on_pair(root_of(new).device_id):
        message = "this update writes a new system, but / has only one place, which holds the system that runs"
        hint = "install the machine with the root on a pair of storage.abUpdate.volumePairs"
        raise ServicingError("invalid-host-configuration-dynamic", message, hint=hint)


def _check_datastore(stored: HostConfig, new: HostConfig) -> None:
    """ServicingError where the new system would look for the datastore in another place than where it is."""
    before, after = stored.trident.datastore_path, new.trident.datastore_path
    if stored != HostConfig() and before != after:
        message = f"an update cannot move the datastore from {before} to {after}"
        hint = "leave trident.datastorePath as it is: trident get configuration"
        inner = "datastore-path-changed"
        raise ServicingError("invalid-host-configuration-dynamic", message, hint=hint, inner=inner)


def _begin(ledger: Ledger) -> None:
    """Say in the datastore that the other half is no system any more, which stays there if power fails now."""
    ledger.note(ServicingError(STAGING_BEGAN, "an update was begun, and was not staged to its end"))


def _give_up(agent: Agent, ledger: Ledger) -> None:
    """Forget an update that is staged, and take it out of the firmware where it was to start next time."""
    log.warning("Giving up what is staged, as the configuration is another one now")
    before = ledger.status
    if before.servicing_state is State.AB_UPDATE_FINALIZED:
        # Where it runs already, and is only not committed yet, its boot files are those of the system that runs.
        check_active_volume(before)
        devices = devices_of(before, before.spec, ServicingType.AB_UPDATE)
        with mounted_esp(esp_device(devices, before.spec)) as esp:
            side = boot_side(before.spec, before.install_index, esp, agent.variables)
            slots.withdraw(side, devices.volume, before.ab_active_volume)
    ledger.move(Trigger.RESET)


def _finalize(agent: Agent, ledger: Ledger) -> Result:
    if ledger.status.servicing_state is State.RUNTIME_UPDATE_STAGED:
        return runtime.finalize(agent, ledger)
    # What runs becomes what starts by default, so that it must not be a system that was never committed.
    check_active_volume(ledger.status)
    return finalize_update(agent, ledger)


def _record(ledger: Ledger, new: HostConfig) -> None:
    """Keep a configuration of which nothing has to be applied."""
    if ledger.status.spec == new:
        log.info("The machine is as the configuration says: there is nothing to do")
    elif ledger.status.servicing_state is State.PROVISIONED:
        log.info("Nothing of the change has to be applied; the new configuration is kept")
        ledger.write(ledger.status.model_copy(update={"spec": new}))


def _as_staged(config: HostConfig, status: HostStatus) -> HostConfig:
    """To finalize, nobody asks the server again which hash it was that nobody wanted to check."""
    staged = status.spec.image
    image = config.image
    if image and staged and image.url == staged.url and image.sha384 == "ignored":
        return config.model_copy(update={"image": staged})
    return config
