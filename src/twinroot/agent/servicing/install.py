"""`trident install`: disks partitioned, a system written onto them, started next time (servicing spec, section 6)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from twinroot.agent.boot import fat_files, slots
from twinroot.agent.boot.esp_plan import free_install_index
from twinroot.agent.datastore import Datastore, is_temporary
from twinroot.agent.decide import Action, Allowed, install_action
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.kept_logs import keep_log
from twinroot.agent.osconfig.users import set_up_users
from twinroot.agent.servicing import boot, machine
from twinroot.agent.servicing.agent import Agent, Outcome, Result
from twinroot.agent.servicing.finalize import check_slot, transition_result
from twinroot.agent.servicing.image import opened_image
from twinroot.agent.servicing.job import Job, devices_of, esp_of, read_materials, with_image_hash
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.servicing.stage import check_image, run_pre_servicing, write_system
from twinroot.agent.states import ServicingType, State, Trigger
from twinroot.agent.storage.deploy_plan import plan_mounts
from twinroot.agent.storage.devices import Devices
from twinroot.agent.storage.disk_facts import foreign_uuids, read_facts
from twinroot.agent.storage.disk_plan import DiskPlan, plan_disks
from twinroot.agent.storage.disk_write import partition_paths, write_tables
from twinroot.agent.storage.install_safety import OVERRIDE_FILE, check_clean_install, runs_from_disk
from twinroot.agent.storage.new_root import mounted_root, place_for_new_root
from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import is_set
from twinroot.formats.cosi.reader import CosiFile
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import make_directory
from twinroot.tools.block_devices import settle
from twinroot.tools.run import first_available, run
from twinroot.tools.systemctl import restart_if_active

log = logging.getLogger(__name__)

MULTIBOOT_DATASTORE = Path("/tmp/trident-datastore.sqlite")
"""Where an installation beside others keeps its status: the datastore of the machine is that of another system."""

_KIND = ServicingType.CLEAN_INSTALL
_SSH = ("sshd.service", "ssh.service")


def install(agent: Agent, ledger: Ledger, config: HostConfig, allowed: Allowed, *, multiboot: bool) -> Result:
    """Install a machine, as far as it is allowed. ServicingError where anything could be lost that is wanted."""
    check_may_install(config, multiboot=multiboot)
    if not is_temporary(ledger.status):
        message = "this machine is installed already"
        raise ServicingError("clean-install-on-provisioned-host", message, hint="use update, or start an installer")
    if config.image is None:
        message = "the configuration has no image, so there is nothing to install"
        raise ServicingError("missing-os-image", message, hint="add the section image")
    with opened_image(config) as cosi:
        assert cosi is not None
        new = with_image_hash(config, cosi)
        action = install_action(ledger.status, new, allowed)
        if action is Action.NOTHING:
            log.warning("There is nothing to do that --allowed-operations allows")
            return Result(Outcome.DONE)
        if action is Action.RESET_AND_STAGE:
            ledger.move(Trigger.RESET)
        if action is not Action.FINALIZE:
            _stage(agent, ledger, new, cosi, multiboot=multiboot)
    return _finalize(agent, ledger) if allowed.finalize else Result(Outcome.DONE)


def check_may_install(config: HostConfig, *, multiboot: bool) -> None:
    """ServicingError where this system is none that machines are installed from."""
    adopts = any(disk.adopted_partitions for disk in config.storage.disks)
    override = Path(OVERRIDE_FILE).exists()
    check_clean_install(machine.kernel_command_line(), multiboot=multiboot, adopts=adopts, override=override)


def is_installer(*, multiboot: bool) -> bool:
    """Whether this system is one that machines are installed from, whatever a configuration says."""
    return not multiboot and not runs_from_disk(machine.kernel_command_line())


def _stage(agent: Agent, ledger: Ledger, config: HostConfig, cosi: CosiFile, *, multiboot: bool) -> None:
    storage = config.storage
    job = Job(_KIND, config, cosi, Devices(storage, {}, "volume-a"), None, 0, agent.variables, agent.emit)
    check_image(job)
    run_pre_servicing(job)
    materials = read_materials(config, _KIND)
    _set_up_installer(config)
    facts = read_facts(storage)
    plans = plan_disks(
        storage, facts, architecture=machine.architecture(), seed=uuid4(), foreign=foreign_uuids(facts.values())
    )
    paths = partition_paths(plans)
    devices = Devices(storage, paths, "volume-a")
    index = _free_index(devices, config) if multiboot else 0
    ledger.write(HostStatus(is_management_os=True, servicing_state=State.NOT_PROVISIONED))
    job = replace(job, devices=devices, install_index=index)
    write_system(job, materials, lambda: _partition(plans), esp_size=_esp_size(plans, config))
    ledger.move(
        Trigger.INSTALL_STAGED,
        new_spec=config,
        partition_paths=paths,
        disk_uuids={plan.disk_id: str(plan.table.disk_uuid) for plan in plans},
        install_index=index,
        is_management_os=True,
    )


def _esp_size(plans: Sequence[DiskPlan], config: HostConfig) -> int | None:
    """Bytes of the ESP that will be made; None where it is there already, or is an array."""
    device_id = esp_of(config).device_id
    made = {partition.id for disk in config.storage.disks for partition in disk.partitions}
    for plan in plans:
        if device_id in made and device_id in plan.numbers:
            return plan.table.size(plan.table.partition(plan.numbers[device_id]))
    return None


def _partition(plans: Sequence[DiskPlan]) -> None:
    log.info("Partitioning %s", ", ".join(plan.device for plan in plans))
    write_tables(plans)
    settle()


def _set_up_installer(config: HostConfig) -> None:
    """Users of the system that runs the installation."""
    if config.management_os.users:
        set_up_users(Chroot(Path("/")), config.management_os.users, "managementOs.users")
        for unit in _SSH:
            restart_if_active(unit)


def _free_index(devices: Devices, config: HostConfig) -> int:
    with boot.mounted_esp(boot.esp_device(devices, config)) as esp:
        return free_install_index(fat_files.names(esp, fat_files.locate(esp, "EFI")))


def _finalize(agent: Agent, ledger: Ledger) -> Result:
    before = ledger.status
    config = before.spec
    devices = devices_of(before, config, _KIND)
    partitions = boot.esp_partitions(devices, config)
    mount_point = esp_of(config).mount_point
    assert mount_point is not None
    with mounted_root(plan_mounts(devices, None), place_for_new_root()) as root:
        esp = root / mount_point.target.lstrip("/")
        side = boot.boot_side(config, before.install_index, esp, agent.variables)
        check_slot(side, side.label("volume-a"))
        ledger.move(Trigger.FINALIZED)
        try:
            if not config.trident.disable:
                _persist(agent, ledger.status, root)
            slots.arm(side, "volume-a", None, partitions, install=True)
        except BaseException:
            ledger.write(before)
            raise
    if not is_set(config.internal_params, "disableMediaEjection"):
        eject_medium()
    return transition_result(ledger)


def _persist(agent: Agent, status: HostStatus, root: Path) -> None:
    """Give the installed machine a datastore of its own, with one status in it and the log of its installation."""
    path = status.spec.trident.datastore_path
    directory = make_directory(root, path.rpartition("/")[0])
    target = directory / Path(path).name
    for stale in directory.glob(f"{target.name}*"):
        stale.unlink()
    with Datastore.create(target) as datastore:
        datastore.write(status.model_copy(update={"is_management_os": False}))
    if agent.log_file:
        keep_log(agent.log_file, directory, status.servicing_state)


def eject_medium() -> None:
    """Take the medium out that the installer was started from, lest it starts again."""
    if runs_from_disk(machine.kernel_command_line()):
        return
    if first_available(["eject"]) and Path("/dev/cdrom").exists():
        run(["eject", "--cdrom", "--force"], ok=range(256))
