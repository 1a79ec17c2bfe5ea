"""`os.packages`: remove, upgrade, install and update with the image's own package manager.

Order of the steps: image behaviour spec §9. Repositories are only consulted where something is to be fetched, so that a
config that merely removes packages works without any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from twinroot.config.image.packages import PackageChanges
from twinroot.customize.resolv_conf import host_resolv_conf
from twinroot.distro import apt, rpm, rpm_sources
from twinroot.distro.distro import Distro
from twinroot.distro.packages import InstalledPackage, OnLine, PackageManager, PackageSources, bind_cache
from twinroot.errors import InputError
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import remove_inside


@dataclass(frozen=True)
class PackageWork:
    """Where package work keeps its things: caches that outlive the run, scratch files that do not."""

    cache: Path
    scratch: Path


def apply_packages(
    chroot: Chroot,
    distro: Distro,
    changes: PackageChanges,
    sources: PackageSources,
    work: PackageWork,
    on_line: OnLine,
) -> None:
    """Carry out one config's package section; every error names the package or repository at fault."""
    fetches = bool(changes.install or changes.update or changes.update_existing)
    if fetches and not sources.paths and not sources.image_repositories:
        raise InputError(
            "packages are to be installed, but there is no repository to take them from",
            hint="leave out --disable-base-image-rpm-repos"
            + (", or name one with --rpm-source" if distro.packages == "rpm" else ""),
        )
    with _manager(chroot, distro, sources if fetches else None, work, changes.snapshot_time) as manager:
        if changes.remove:
            manager.remove(changes.remove, on_line)
        if fetches:
            manager.refresh(on_line)
        if changes.update_existing:
            manager.upgrade_all(on_line)
        if changes.install:
            manager.install(changes.install, on_line)
        if changes.update:
            manager.update(changes.update, on_line)


def remove_package_manager(chroot: Chroot, distro: Distro, work: PackageWork, on_line: OnLine) -> None:
    """Remove the package manager with its data (image behaviour spec §11); needs no repository."""
    if _program(chroot, distro):
        with _manager(chroot, distro, None, work) as manager:
            manager.remove_itself(distro.manager.packages, on_line)
    for directory in distro.manager.directories:
        remove_inside(chroot.root, directory)


def list_installed(chroot: Chroot, distro: Distro) -> list[InstalledPackage]:
    """What is installed in the tree, sorted by name; nothing where no program is left that could say it."""
    if distro.packages == "deb":
        return apt.installed(chroot)
    return rpm.installed(chroot) if chroot.has("rpm") else []


@contextmanager
def _manager(
    chroot: Chroot,
    distro: Distro,
    sources: PackageSources | None,
    work: PackageWork,
    snapshot_time: datetime | None = None,
) -> Iterator[PackageManager]:
    """The image's package manager, with its caches outside the image and its sources in reach."""
    program = _program(chroot, distro)
    if program is None:
        raise InputError(
            f"the base image has none of the package managers {', '.join(_programs(distro))}",
            hint="use a base image that has one, or leave os.packages out",
        )
    config = rpm.snapshot_config(chroot, program, snapshot_time) if snapshot_time else None
    with ExitStack() as stack:
        mounts = stack.enter_context(Mounts())
        if sources:
            stack.enter_context(host_resolv_conf(chroot.root))
        for directory in apt.CACHES if distro.packages == "deb" else rpm.CACHES:
            bind_cache(mounts, chroot.root, directory, work.cache)
        if distro.packages == "deb":
            stack.callback(apt.clean, chroot)
            yield apt.AptManager(chroot)
            return
        if sources:
            rpm_sources.attach(sources, chroot.root, work.scratch, mounts)
        yield rpm.RpmManager(chroot, program, config)


def _programs(distro: Distro) -> tuple[str, ...]:
    return apt.PROGRAMS if distro.packages == "deb" else rpm.PROGRAMS


def _program(chroot: Chroot, distro: Distro) -> str | None:
    return next((name for name in _programs(distro) if chroot.has(name)), None)
