"""Configuring a newly written system: in its tree, and by its own programs (servicing spec, sections 4 and 12)."""

from __future__ import annotations

import logging
from pathlib import Path

from twinroot.agent.boot.boot_entries import label_of
from twinroot.agent.boot.grub_target import configure_grub, settle_stub
from twinroot.agent.osconfig import initrd, network, selinux, settings, users
from twinroot.agent.osconfig.blame import blaming
from twinroot.agent.osconfig.files import write_files
from twinroot.agent.scripts import Loaded, environment_of, failure, run_in_target
from twinroot.agent.servicing.initrd_needs import needs_new_initrd
from twinroot.agent.servicing.job import Job, Materials
from twinroot.agent.servicing.kernel_target import kernel_target
from twinroot.agent.servicing.machine import hostname
from twinroot.agent.states import ServicingType
from twinroot.agent.storage.deploy_plan import MountStep, fstab
from twinroot.config.host.internal_params import is_set
from twinroot.config.host.places import DEFAULT_DATASTORE
from twinroot.config.host.storage_rules import root_verity
from twinroot.errors import CommandError, MissingToolError
from twinroot.sandbox.chroot import Chroot, open_chroot
from twinroot.sandbox.paths import make_directory, place_file

log = logging.getLogger(__name__)


def configure(job: Job, root: Path, mounts: tuple[MountStep, ...], materials: Materials) -> None:
    """Make a new system what the configuration says. It is mounted at `root`, its ESP below that.

    ServicingError names what could not be done.
    """
    config = job.config
    mode = selinux.set_mode(root, config.os.selinux.mode)
    if root_verity(config.storage):
        selinux.check_overlaid(mode)
    _write_storage(job, root)
    if not job.uki:
        _configure_boot(job, root, mode)
    if config.os.netplan is not None:
        network.write_netplan(root, config.os.netplan)
    _write_settings(job, root)
    with open_chroot(root) as chroot:
        if config.os.netplan is not None:
            network.generate(chroot)
        users.set_up_users(chroot, config.os.users)
        settings.set_up_services(chroot, config.os.services)
        write_files(root, materials.files)
        run_scripts(chroot, materials.post_configure, job.kind)
        if not job.uki and needs_new_initrd(config):
            log.info("Making the initrd of the new system anew")
            initrd.regenerate_initrd(chroot, debug=is_set(config.internal_params, "dracutDebug"), on_line=log.debug)
        if mode in ("permissive", "enforcing"):
            labelled = [(step.path, step.type, "ro" not in step.options.split(",")) for step in mounts]
            selinux.relabel(chroot, selinux.labelled_mounts(labelled))


def run_scripts(chroot: Chroot, scripts: tuple[Loaded, ...], kind: ServicingType) -> None:
    """Run scripts of `postConfigure` one after the other; ServicingError for the first that fails."""
    for loaded in scripts:
        try:
            run_in_target(chroot, loaded, environment_of(loaded.script, kind, "/"))
        except (CommandError, MissingToolError) as error:
            raise failure("run-post-configure-script", loaded, error) from error


def _write_storage(job: Job, root: Path) -> None:
    with blaming("generate-fstab", "storage.filesystems"):
        make_directory(root, "/etc")
        place_file(root, "/etc/fstab", fstab(job.devices, job.image))


def _configure_boot(job: Job, root: Path, mode: selinux.Mode | None) -> None:
    configure_grub(root, kernel_target(job.config, job.devices, job.image, mode))
    assert job.esp.mount_point is not None
    esp = root / job.esp.mount_point.target.lstrip("/")
    settle_stub(esp, label_of(job.target, job.install_index), job.boot_filesystem.fs_uuid, on_trial=not job.installs)


def _write_settings(job: Job, root: Path) -> None:
    config = job.config
    if not job.installs:
        settings.carry_machine_id(Path("/"), root)
    elif root_verity(config.storage):
        settings.make_machine_id(root)
    name = settings.hostname_of(config, hostname(), ab_update=not job.installs)
    if name is not None:
        settings.write_hostname(root, name)
    settings.set_up_modules(root, config.os.modules)
    if not config.trident.disable and config.trident.datastore_path != DEFAULT_DATASTORE:
        with blaming("create-configuration-file", "trident.datastorePath"):
            make_directory(root, "/etc/trident")
            place_file(root, "/etc/trident/trident.conf", f"DatastorePath={config.trident.datastore_path}\n")
