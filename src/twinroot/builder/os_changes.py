"""Carrying out the planned steps inside the OS tree (`plan.steps.tree_steps`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twinroot.boot import grub, grub_probe
from twinroot.boot.grub_bios import BiosBoot
from twinroot.builder.build_directory import BuildDirectory
from twinroot.builder.request import CustomizeRequest
from twinroot.config.image.file import ConfigFile
from twinroot.config.image.os import Os
from twinroot.customize.hostname import set_hostname
from twinroot.customize.initramfs import check_kernel, regenerate
from twinroot.customize.packages import PackageWork, apply_packages, list_installed
from twinroot.customize.services import apply_services
from twinroot.distro.distro import Distro
from twinroot.distro.packages import InstalledPackage, PackageSources
from twinroot.errors import InternalError
from twinroot.events import Emit, phase
from twinroot.plan.disk import PlannedDisk
from twinroot.plan.steps import Action, Step, tree_steps
from twinroot.sandbox.chroot import Chroot, open_chroot
from twinroot.sandbox.paths import place_file, resolve_inside
from twinroot.storage import fstab

# "Installing : curl-7.88.1-10.x86_64   12/56" of dnf and tdnf.
_COUNT = re.compile(r"\b(\d+)/(\d+)\s*$")


@dataclass
class OsChanges:
    """What is to be known of the changed tree: what is installed, and what a BIOS starts from, if it does."""

    packages: list[InstalledPackage] = field(default_factory=list)
    bios_boot: BiosBoot | None = None


@dataclass(frozen=True)
class _Work:
    """What steps work on."""

    chroot: Chroot
    request: CustomizeRequest
    disk: PlannedDisk
    distro: Distro
    build: BuildDirectory
    emit: Emit
    identifiers: Mapping[str, str]
    changed: OsChanges

    @property
    def os(self) -> Os:
        """The merged `os` section."""
        return self.request.config.config.os or Os()

    def file(self, step: Step) -> ConfigFile:
        """The file whose section a step carries out."""
        assert step.file is not None
        return self.request.config.files[step.file]


def change_os(
    request: CustomizeRequest, disk: PlannedDisk, distro: Distro, root: Path, build: BuildDirectory, emit: Emit,
    *, identifiers: Mapping[str, str],
) -> OsChanges:  # fmt: skip
    """Apply the config to the tree. `identifiers`: renewed UUIDs, old to new."""
    with open_chroot(root, disk_links=grub_probe.disk_links(disk)) as chroot:
        work = _Work(chroot, request, disk, distro, build, emit, identifiers, OsChanges())
        for step in tree_steps(request.config):
            if step.action not in _CARRY_OUT:
                raise InternalError(f"nobody carries out the step '{step.action}'")
            _CARRY_OUT[step.action](work, step)
        work.changed.packages = list_installed(chroot, distro)
        return work.changed


def _fstab(work: _Work, _step: Step) -> None:
    place_file(work.chroot.root, "/etc/fstab", fstab.render(work.disk))


def _fstab_identifiers(work: _Work, _step: Step) -> None:
    root = work.chroot.root
    table = resolve_inside(root, "/etc/fstab")
    text = table.read_text(errors="surrogateescape") if table.is_file() else ""
    place_file(root, "/etc/fstab", fstab.rename_sources(text, work.identifiers), follow=True)


def _packages(work: _Work, step: Step) -> None:
    sources = PackageSources(work.request.rpm_sources, work.request.base_repositories)
    places = PackageWork(work.build.cache, work.build.scratch)
    changes = work.file(step).packages
    with phase(work.emit, "packages", "Changing packages", total=1000, unit="permille") as advance:
        apply_packages(work.chroot, work.distro, changes, sources, places, _counter(advance))


def _hostname(work: _Work, _step: Step) -> None:
    set_hostname(work.chroot.root, work.os.hostname or "")


def _services(work: _Work, step: Step) -> None:
    apply_services(work.chroot, (work.file(step).config.os or Os()).services)


def _boot_loader(work: _Work, _step: Step) -> None:
    arguments = work.os.kernel_command_line.extra_command_line
    with phase(work.emit, "boot", "Resetting the boot loader", unit="step"):
        work.changed.bios_boot = grub.hard_reset(work.chroot, work.disk, work.distro.grub, arguments)


def _kernel_arguments(work: _Work, _step: Step) -> None:
    arguments = work.os.kernel_command_line.extra_command_line
    with phase(work.emit, "boot", "Adding kernel arguments", unit="step"):
        grub.add_arguments(work.chroot, work.disk, work.distro.grub, arguments)


def _initramfs(work: _Work, _step: Step) -> None:
    with phase(work.emit, "initramfs", "Regenerating the initramfs", unit="step"):
        regenerate(work.chroot, work.distro, _ignore)


def _kernel_check(work: _Work, _step: Step) -> None:
    check_kernel(work.chroot)


_CARRY_OUT: dict[Action, Callable[[_Work, Step], None]] = {
    Action.FSTAB: _fstab,
    Action.FSTAB_IDENTIFIERS: _fstab_identifiers,
    Action.PACKAGES: _packages,
    Action.HOSTNAME: _hostname,
    Action.SERVICES: _services,
    Action.BOOT_LOADER: _boot_loader,
    Action.KERNEL_ARGUMENTS: _kernel_arguments,
    Action.INITRAMFS: _initramfs,
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
