"""`os.packages`: remove, upgrade, install and update with the image's own package manager.

Order of the steps: image behaviour spec §9. Repositories are only consulted where something is to be fetched, so that a
config that merely removes packages works without any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinroot.config.image.packages import PackageChanges
from twinroot.customize.resolv_conf import host_resolv_conf
from twinroot.distro import apt, rpm, rpm_sources
from twinroot.distro.distro import Distro
from twinroot.distro.packages import InstalledPackage, OnLine, PackageManager, PackageSources, bind_cache
from twinroot.errors import InputError
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.mounts import Mounts


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
            hint="name one with --rpm-source, or leave out --disable-base-image-rpm-repos",
        )
    with _manager(chroot, distro, sources if fetches else None, work) as manager:
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


def list_installed(chroot: Chroot, distro: Distro) -> list[InstalledPackage]:
    """What is installed in the tree, sorted by name."""
    return rpm.installed(chroot) if distro.packages == "rpm" else apt.installed(chroot)


@contextmanager
def _manager(
    chroot: Chroot, distro: Distro, sources: PackageSources | None, work: PackageWork
) -> Iterator[PackageManager]:
    """The image's package manager, with its caches outside the image and its sources in reach."""
    with ExitStack() as stack:
        mounts = stack.enter_context(Mounts())
        if sources:
            stack.enter_context(host_resolv_conf(chroot.root))
        if distro.packages == "deb":
            for directory in apt.CACHES:
                bind_cache(mounts, chroot.root, directory, work.cache)
            stack.callback(apt.clean, chroot)
            yield apt.AptManager(chroot)
            return
        program = next((name for name in rpm.PROGRAMS if chroot.has(name)), None)
        if program is None:
            raise InputError(
                f"the base image has none of the package managers {', '.join(rpm.PROGRAMS)}",
                hint="use a base image that has one, or leave os.packages out",
            )
        for directory in rpm.CACHES:
            bind_cache(mounts, chroot.root, directory, work.cache)
        if sources:
            rpm_sources.attach(sources, chroot.root, work.scratch, mounts)
        yield rpm.RpmManager(chroot, program)
