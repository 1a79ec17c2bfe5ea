"""The image customizer: from a base image and a config to an output file.

    open the base ─▶ plan the disk ─▶ assemble the tree ─▶ change it ─▶ make the filesystems ─▶ write the output

Each step only uses what the steps before it made. Everything lies in the build directory's scratch folder and in mounts
that only this process sees, so that whatever ends the run, nothing of it stays.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from twinroot.base.architecture import image_architecture
from twinroot.base.damage import damage_hint, naming_damage
from twinroot.base.facts import BaseFacts, read_facts
from twinroot.base.image import open_raw, probe
from twinroot.base.tree import Tree, assemble
from twinroot.boot import grub_probe
from twinroot.boot.grub_bios import BiosBoot
from twinroot.builder.base_image import base_image
from twinroot.builder.build_directory import BuildDirectory, open_build_directory
from twinroot.builder.file_sizes import check_file_sizes
from twinroot.builder.inputs import input_hashes
from twinroot.builder.os_changes import OsWork, change_os
from twinroot.builder.partitions import make_partitions
from twinroot.builder.reproducible import settle_contents
from twinroot.builder.request import CustomizeRequest
from twinroot.builder.step_cache import StepCache
from twinroot.customize.image_release import BuildStamp
from twinroot.distro.distro import Distro, parse_os_release, recognise
from twinroot.epoch import build_time, source_date_epoch
from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.output.cosi import OsFacts
from twinroot.output.files import replacing
from twinroot.output.space import naming_full_disk
from twinroot.output.write import write_output
from twinroot.plan.disk import PlannedDisk, new_identifiers, plan_kept_disk, plan_new_disk
from twinroot.plan.identity import Identity, derived_id
from twinroot.plan.steps import Step, tree_steps
from twinroot.sandbox.chroot import open_chroot
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.namespace import isolate
from twinroot.storage.mounted import require_types
from twinroot.tools.identity import PROGRAMS
from twinroot.tools.run import require

log = logging.getLogger(__name__)

_PROGRAMS = ("qemu-img", "blkid", "debugfs", "mke2fs", "resize2fs", "e2fsck", "mkfs.vfat", "mcopy", "mdir", "mkswap")
_PROGRAMS_ISOLATION = ("mount", "umount", "setpriv")


@dataclass(frozen=True)
class _Plan:
    """What will be built on what."""

    image_file: Path
    facts: BaseFacts
    distro: Distro
    disk: PlannedDisk
    identity: Identity
    time: datetime


def customize(request: CustomizeRequest, emit: Emit) -> None:
    """Carry out a request. Leaves this process in namespaces of its own: start one process for each call.

    Raises TwinrootError; whatever is raised, there is no output file then.
    """
    source_date_epoch()  # said to be wrong before any work
    require_programs(request)
    privileged = isolate()
    require(() if privileged else ("fuse2fs",))
    # The output gets its name last of all, when everything else has been cleaned up and nothing can fail any more.
    with (
        replacing(request.output_file) as partial,
        open_build_directory(request.build_dir) as build,
        naming_full_disk(request.build_dir, "build directory"),
        base_image(request, emit) as image_file,
    ):
        with Mounts() as mounts, _umask(0o022):
            plan = _open_base(request, image_file, build.scratch, mounts if privileged else None, emit)
            steps = tree_steps(request.config, request.snapshot_time)
            cache, done = _restore(request, plan, steps, build, privileged=privileged)
            with naming_damage(plan.facts.name, plan.facts.disk.path, plan.facts.mounted):
                tree = assemble(plan.facts, plan.disk, build.scratch, mounts, privileged=privileged, changed=done > 0)
                found, bios_boot = _change(request, plan, tree, build, emit, steps, cache, done)
                disk = plan.disk.with_boot_code(bios_boot.code) if bios_boot else plan.disk
                contents = make_partitions(
                    disk, tree, build.scratch, plan.distro, plan.facts.disk.path, plan.identity, emit,
                    core=bios_boot.core if bios_boot else None,
                )  # fmt: skip
        # What the output is not made of would only be written to disk with it: the tree, usually the base as well.
        with phase(emit, "cleanup", "Removing what the image is not made of", unit="step"):
            build.discard_except({content.source.path for content in contents})
        write_output(
            partial, request.output_file.name, request.output_format, disk, contents, found, plan.identity,
            scratch=build.scratch, level=request.compression_level, emit=emit,
        )  # fmt: skip


def require_programs(request: CustomizeRequest) -> None:
    """HostError for a host program, or a privilege, that this request will need."""
    require((*_PROGRAMS, *_PROGRAMS_ISOLATION))
    require_types([filesystem.type or "" for filesystem in request.config.config.storage.filesystems])
    if any(path.is_dir() for path in request.rpm_sources):
        require(("createrepo_c",))


def _open_base(request: CustomizeRequest, image_file: Path, scratch: Path, mounts: Mounts | None, emit: Emit) -> _Plan:
    check_file_sizes(request, scratch)
    name = str(image_file)
    image = probe(image_file)
    with phase(emit, "base", "Opening the base image", total=100, unit="percent") as advance:
        disk = open_raw(image, scratch, lambda percent: advance(int(percent)))
        facts = read_facts(disk, name, mounts, scratch)
    require_types([f.type or "" for f in facts.mounted])
    release = parse_os_release(facts.os_release)
    try:
        distro, architecture = recognise(release), image_architecture(facts)
    except InputError as error:
        hint = error.hint or damage_hint(disk.path, facts.mounted)
        raise InputError(error.message, where=name, hint=hint) from error
    log.info("Base image: %s, %s, %s", release.get("PRETTY_NAME", distro.name), architecture, image.format)
    if distro.packages == "deb" and request.rpm_sources:
        raise InputError("--rpm-source cannot be used with a base image that is made of Debian packages")
    identity, time = _identity(request, image_file, emit), build_time()
    layout, storage = request.config.layout, request.config.config.storage
    if layout:
        planned = plan_new_disk(layout, storage.filesystems, identity, storage.boot_type)
    else:
        renew = identity if storage.reset_partitions_uuids_type else None
        planned = plan_kept_disk(disk.table, facts.filesystems, renew)
        require([PROGRAMS[p.copy_identity[0]] for p in planned.partitions if p.copy_identity])
    planned.holding("/")
    require_types([p.filesystem.type for p in planned.partitions if p.filesystem])
    return _Plan(image_file, facts, distro, planned, identity, time)


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """What whoever runs the build wants for files of this host is nothing to files of the image."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _identity(request: CustomizeRequest, image_file: Path, emit: Emit) -> Identity:
    """A new image id each time; with SOURCE_DATE_EPOCH one that follows from the inputs."""
    epoch = source_date_epoch()
    if epoch is None:
        return Identity(uuid4())
    with phase(emit, "inputs", "Reading the inputs for the image id", unit="step"):
        return Identity(derived_id(input_hashes(request, image_file), epoch))


def _restore(
    request: CustomizeRequest, plan: _Plan, steps: Sequence[Step], build: BuildDirectory, *, privileged: bool
) -> tuple[StepCache | None, int]:
    """The cache, where one is wanted, and how many steps its tree, now in the scratch folder, has behind it."""
    if request.cache_dir is None:
        return None, 0
    cache = StepCache(
        request.cache_dir, request, plan.image_file, steps, plan.disk, plan.identity, privileged=privileged
    )
    return cache, cache.restore(build.scratch, why=request.why_rebuild)


def _change(
    request: CustomizeRequest, plan: _Plan, tree: Tree, build: BuildDirectory, emit: Emit, steps: Sequence[Step],
    cache: StepCache | None, done: int,
) -> tuple[OsFacts, BiosBoot | None]:  # fmt: skip
    def keep(index: int) -> None:
        if cache:
            cache.keep(index, build.scratch)

    identifiers = {} if plan.disk.repartitioned else new_identifiers(plan.disk, plan.facts.filesystems)
    stamp = BuildStamp(plan.time, plan.identity.image_id)
    with open_chroot(tree.root, disk_links=grub_probe.disk_links(plan.disk)) as chroot:
        work = OsWork(chroot, request, plan.disk, plan.distro, build, stamp, emit, identifiers)
        changed = change_os(work, steps, done=done, after_step=keep)
    epoch = source_date_epoch()
    if epoch is not None:
        settle_contents(tree, epoch)
    found = OsFacts(
        architecture=image_architecture(plan.facts),
        os_release=plan.facts.os_release,
        packages=tuple(changed.packages),
    )
    return found, changed.bios_boot
