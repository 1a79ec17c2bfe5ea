"""Everything that happens inside the OS tree, in the order of the image config spec §9."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from twinroot.boot import grub, grub_probe
from twinroot.builder.build_directory import BuildDirectory
from twinroot.builder.request import CustomizeRequest
from twinroot.config.image.os import Os
from twinroot.customize.hostname import set_hostname
from twinroot.customize.initramfs import check_kernel, regenerate
from twinroot.customize.packages import PackageWork, apply_packages, list_installed
from twinroot.customize.services import apply_services
from twinroot.distro.distro import Distro
from twinroot.distro.packages import InstalledPackage, PackageSources
from twinroot.events import Emit, phase
from twinroot.plan.disk import PlannedDisk
from twinroot.sandbox.chroot import Chroot, open_chroot
from twinroot.sandbox.paths import place_file
from twinroot.storage import fstab

# "Installing : curl-7.88.1-10.x86_64   12/56" of dnf and tdnf.
_COUNT = re.compile(r"\b(\d+)/(\d+)\s*$")


def change_os(
    request: CustomizeRequest, disk: PlannedDisk, distro: Distro, root: Path, build: BuildDirectory, emit: Emit
) -> list[InstalledPackage]:
    """Apply the config to the tree; returns what is installed afterwards."""
    wanted = request.config.config.os or Os()
    if disk.repartitioned:
        place_file(root, "/etc/fstab", fstab.render(disk))
    with open_chroot(root, disk_links=grub_probe.disk_links(disk)) as chroot:
        _packages(chroot, request, distro, build, emit)
        if wanted.hostname:
            set_hostname(root, wanted.hostname)
        for file in request.config.files:
            if file.config.os:
                apply_services(chroot, file.config.os.services)
        _boot_loader(chroot, wanted, disk, distro, emit)
        if disk.repartitioned:
            with phase(emit, "initramfs", "Regenerating the initramfs", unit="step"):
                regenerate(chroot, distro, _ignore)
        check_kernel(chroot)
        return list_installed(chroot, distro)


def _packages(chroot: Chroot, request: CustomizeRequest, distro: Distro, build: BuildDirectory, emit: Emit) -> None:
    sources = PackageSources(request.rpm_sources, request.base_repositories)
    work = PackageWork(build.cache, build.scratch)
    for file in request.config.files:
        if file.packages.any:
            with phase(emit, "packages", "Changing packages", total=1000, unit="permille") as advance:
                apply_packages(chroot, distro, file.packages, sources, work, _counter(advance))


def _boot_loader(chroot: Chroot, wanted: Os, disk: PlannedDisk, distro: Distro, emit: Emit) -> None:
    arguments = wanted.kernel_command_line.extra_command_line
    if wanted.bootloader.reset_type == "hard-reset":
        with phase(emit, "boot", "Resetting the boot loader", unit="step"):
            grub.hard_reset(chroot, disk, distro.grub, arguments)
    elif arguments:
        with phase(emit, "boot", "Adding kernel arguments", unit="step"):
            grub.add_arguments(chroot, disk, distro.grub, arguments)


def _counter(advance: Callable[[int], None]) -> Callable[[str], None]:
    """Package managers count "12/56" at the end of their lines: turn that into permille."""

    def see(line: str) -> None:
        match = _COUNT.search(line)
        if match and 0 < int(match.group(1)) <= int(match.group(2)):
            advance(1000 * int(match.group(1)) // int(match.group(2)))

    return see


def _ignore(_line: str) -> None:
    pass
