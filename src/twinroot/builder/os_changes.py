"""Carrying out planned steps inside the OS tree (`plan.steps.tree_steps`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from twinroot.boot import grub, kernel_arguments
from twinroot.boot.grub_bios import BiosBoot
from twinroot.builder.build_directory import BuildDirectory
from twinroot.builder.request import CustomizeRequest
from twinroot.config.image.file import ConfigFile
from twinroot.config.image.os import Os
from twinroot.config.image.selinux import SelinuxMode
from twinroot.customize.directories import place_directories
from twinroot.customize.files import place_files
from twinroot.customize.groups import create_groups
from twinroot.customize.history import write_history
from twinroot.customize.hostname import set_hostname
from twinroot.customize.image_release import BuildStamp, write_release
from twinroot.customize.initramfs import check_kernel, regenerate
from twinroot.customize.overlays import apply_overlays, label_rules
from twinroot.customize.packages import PackageWork, apply_packages, list_installed, remove_package_manager
from twinroot.customize.resolv_conf import link_stub_resolver
from twinroot.customize.scripts import run_scripts
from twinroot.customize.selinux import ARGUMENT_NAMES, current_mode, mode_arguments, write_mode
from twinroot.customize.selinux_labels import add_rules, check_labels, set_labels
from twinroot.customize.services import apply_services
from twinroot.customize.users import apply_users
from twinroot.distro.distro import Distro
from twinroot.distro.packages import InstalledPackage, PackageSources
from twinroot.errors import InternalError
from twinroot.events import Emit, phase
from twinroot.plan.content_ids import to_carry_out
from twinroot.plan.disk import PlannedDisk
from twinroot.plan.steps import Action, Step
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import place_file, read_text
from twinroot.storage import fstab
from twinroot.system.modules import apply_modules

# "Installing : curl-7.88.1-10.x86_64   12/56" of dnf and tdnf.
_COUNT = re.compile(r"\b(\d+)/(\d+)\s*$")


@dataclass
class OsChanges:
    """What is to be known of the changed tree: what is installed, and what a BIOS starts from, if it does."""

    packages: list[InstalledPackage] = field(default_factory=list)
    bios_boot: BiosBoot | None = None


@dataclass(frozen=True)
class OsWork:
    """What steps work on. `again` says that the tree has this step of another image behind it."""

    chroot: Chroot
    request: CustomizeRequest
    disk: PlannedDisk
    distro: Distro
    build: BuildDirectory
    stamp: BuildStamp
    emit: Emit
    identifiers: Mapping[str, str]
    changed: OsChanges = field(default_factory=OsChanges)
    again: bool = False

    @property
    def os(self) -> Os:
        """The merged `os` section."""
        return self.request.config.config.os or Os()

    def selinux_mode(self) -> SelinuxMode:
        """The SELinux mode that the tree has now."""
        arguments = kernel_arguments.current_arguments(self.chroot.root, self.distro.grub)
        return current_mode(self.chroot.root, arguments, self.distro)

    def file(self, step: Step) -> ConfigFile:
        """The file whose section a step carries out."""
        assert step.file is not None
        return self.request.config.files[step.file]


def change_os(
    work: OsWork, steps: Sequence[Step], *, done: int = 0, after_step: Callable[[int], None] = lambda _index: None
) -> OsChanges:
    """Carry out steps on the tree.

    The tree has `done` steps behind it, carried out for another image, whose identifiers it holds. `after_step` hears
    of each later one.
    """
    wanted = to_carry_out(steps, done)
    for index, step in enumerate(steps):
        if index in wanted:
            if step.action not in _CARRY_OUT:
                raise InternalError(f"nobody carries out the step '{step.action}'")
            _CARRY_OUT[step.action](replace(work, again=index < done), step)
        if index >= done:
            after_step(index)
    work.changed.packages = list_installed(work.chroot, work.distro)
    return work.changed


def _fstab(work: OsWork, _step: Step) -> None:
    place_file(work.chroot.root, "/etc/fstab", fstab.render(work.disk))


def _fstab_identifiers(work: OsWork, _step: Step) -> None:
    text = read_text(work.chroot.root, fstab.FSTAB) or ""
    place_file(work.chroot.root, fstab.FSTAB, fstab.rename_sources(text, work.identifiers), follow=True)


def _packages(work: OsWork, step: Step) -> None:
    sources = PackageSources(work.request.rpm_sources, work.request.base_repositories)
    places = PackageWork(work.build.cache, work.build.scratch)
    changes = work.request.packages(work.file(step))
    with phase(work.emit, "packages", "Changing packages", total=1000, unit="permille") as advance:
        apply_packages(work.chroot, work.distro, changes, sources, places, _counter(advance))


def _hostname(work: OsWork, _step: Step) -> None:
    set_hostname(work.chroot.root, work.os.hostname or "")


def _groups(work: OsWork, step: Step) -> None:
    create_groups(work.chroot, work.distro, work.file(step))


def _users(work: OsWork, step: Step) -> None:
    apply_users(work.chroot, work.distro, work.disk, work.file(step))


def _directories(work: OsWork, step: Step) -> None:
    with phase(work.emit, "directories", "Copying directories", unit="step"):
        place_directories(work.chroot.root, work.file(step), work.disk)


def _files(work: OsWork, step: Step) -> None:
    with phase(work.emit, "files", "Copying files", unit="step"):
        place_files(work.chroot.root, work.file(step), work.disk)


def _services(work: OsWork, step: Step) -> None:
    apply_services(work.chroot, (work.file(step).config.os or Os()).services)


def _modules(work: OsWork, step: Step) -> None:
    apply_modules(work.chroot.root, (work.file(step).config.os or Os()).modules)


def _release(work: OsWork, _step: Step) -> None:
    write_release(work.chroot.root, work.stamp)


def _history(work: OsWork, _step: Step) -> None:
    # Of a chain only the file that was asked for is recorded.
    write_history(work.chroot.root, work.request.config.files[-1], work.stamp, replace_last=work.again)


def _boot_loader(work: OsWork, _step: Step) -> None:
    arguments = work.os.kernel_command_line.extra_command_line
    with phase(work.emit, "boot", "Resetting the boot loader", unit="step"):
        # What the command line said of SELinux stays, unless the config says otherwise.
        mode = work.os.selinux.mode or work.selinux_mode()
        every = mode_arguments(mode) if work.os.selinux.mode or mode != "disabled" else ()
        wanted = grub.Arguments(every, arguments)
        work.changed.bios_boot = grub.hard_reset(work.chroot, work.disk, work.distro.grub, wanted)


def _kernel_arguments(work: OsWork, _step: Step) -> None:
    arguments = work.os.kernel_command_line.extra_command_line
    with phase(work.emit, "boot", "Adding kernel arguments", unit="step"):
        kernel_arguments.add_arguments(work.chroot, work.disk, work.distro.grub, arguments)


def _selinux(work: OsWork, _step: Step) -> None:
    mode = work.os.selinux.mode
    assert mode is not None
    write_mode(work.chroot.root, mode, work.distro)
    # A hard reset has written the arguments already.
    if not work.os.bootloader.reset_type:
        arguments = mode_arguments(mode)
        with phase(work.emit, "selinux", f"Setting SELinux to {mode}", unit="step"):
            kernel_arguments.replace_arguments(work.chroot, work.disk, work.distro.grub, ARGUMENT_NAMES, arguments)
    if mode != "disabled":
        # Before the long steps, not after them.
        check_labels(work.chroot, work.distro)


def _overlays(work: OsWork, step: Step) -> None:
    overlays = (work.file(step).config.os or Os()).overlays or ()
    apply_overlays(work.chroot.root, overlays, work.distro)
    if work.selinux_mode() != "disabled":
        add_rules(work.chroot.root, *label_rules(overlays))


def _relabel(work: OsWork, _step: Step) -> None:
    if work.selinux_mode() != "disabled":
        check_labels(work.chroot, work.distro)
        with phase(work.emit, "labels", "Setting SELinux labels", unit="step"):
            set_labels(work.chroot, work.disk)


def _initramfs(work: OsWork, _step: Step) -> None:
    with phase(work.emit, "initramfs", "Regenerating the initramfs", unit="step"):
        regenerate(work.chroot, work.distro, _ignore)


def _resolv_conf(work: OsWork, _step: Step) -> None:
    link_stub_resolver(work.chroot)


def _remove_package_manager(work: OsWork, _step: Step) -> None:
    places = PackageWork(work.build.cache, work.build.scratch)
    with phase(work.emit, "package-manager", "Removing the package manager", unit="step"):
        remove_package_manager(work.chroot, work.distro, places, _ignore)


def _post_scripts(work: OsWork, step: Step) -> None:
    with phase(work.emit, "scripts", "Running scripts", unit="step"):
        _scripts(work, step, "postCustomization")


def _final_scripts(work: OsWork, step: Step) -> None:
    with phase(work.emit, "scripts", "Running final scripts", unit="step"):
        _scripts(work, step, "finalizeCustomization")


def _scripts(work: OsWork, step: Step, which: str) -> None:
    run_scripts(work.chroot, work.file(step), which, network=work.request.script_network)


def _kernel_check(work: OsWork, _step: Step) -> None:
    check_kernel(work.chroot)


_CARRY_OUT: dict[Action, Callable[[OsWork, Step], None]] = {
    Action.FSTAB: _fstab,
    Action.FSTAB_IDENTIFIERS: _fstab_identifiers,
    Action.PACKAGES: _packages,
    Action.HOSTNAME: _hostname,
    Action.GROUPS: _groups,
    Action.USERS: _users,
    Action.DIRECTORIES: _directories,
    Action.FILES: _files,
    Action.SERVICES: _services,
    Action.MODULES: _modules,
    Action.RELEASE: _release,
    Action.HISTORY: _history,
    Action.BOOT_LOADER: _boot_loader,
    Action.KERNEL_ARGUMENTS: _kernel_arguments,
    Action.SELINUX: _selinux,
    Action.OVERLAYS: _overlays,
    Action.INITRAMFS: _initramfs,
    Action.RESOLV_CONF: _resolv_conf,
    Action.REMOVE_PACKAGE_MANAGER: _remove_package_manager,
    Action.RELABEL: _relabel,
    Action.POST_SCRIPTS: _post_scripts,
    Action.FINAL_SCRIPTS: _final_scripts,
    Action.KERNEL_CHECK: _kernel_check,
}


def _counter(advance: Callable[[int], None]) -> Callable[[str], None]:
    """Package managers count "12/56" at the end of their lines: turn that into permille."""

    def see(line: str) -> None:
        match = _COUNT.search(line)
        if match and 0 < int(match.group(1)) <= int(match.group(2)):
            advance(1000 * int(match.group(1)) // int(match.group(2)))

    return see


def _ignore(_line: str) -> None:
    pass
