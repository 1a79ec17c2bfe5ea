"""The image customizer: from a base image and a config to an output file.

    open the base ─▶ plan the disk ─▶ assemble the tree ─▶ change it ─▶ make the filesystems ─▶ write the output

Each step only uses what the steps before it made. Everything lies in the build directory's scratch folder and in mounts
that only this process sees, so that whatever ends the run, nothing of it stays.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from twinroot.base.architecture import image_architecture
from twinroot.base.facts import BaseFacts, read_facts
from twinroot.base.image import open_raw, probe
from twinroot.base.tree import Tree, assemble
from twinroot.builder.base_image import base_image
from twinroot.builder.build_directory import BuildDirectory, open_build_directory
from twinroot.builder.os_changes import change_os
from twinroot.builder.partitions import make_partitions
from twinroot.builder.request import CustomizeRequest
from twinroot.distro.distro import Distro, parse_os_release, recognise
from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.output.cosi import OsFacts
from twinroot.output.files import replacing
from twinroot.output.space import naming_full_disk
from twinroot.output.write import write_output
from twinroot.plan.disk import PlannedDisk, plan_kept_disk, plan_new_disk
from twinroot.plan.identity import Identity
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.namespace import isolate
from twinroot.tools.run import require

log = logging.getLogger(__name__)

_PROGRAMS = ("qemu-img", "blkid", "debugfs", "dumpe2fs", "mke2fs", "resize2fs", "e2fsck", "mkfs.vfat", "mcopy", "mdir")
_PROGRAMS_ISOLATION = ("mount", "umount", "unshare", "setpriv", "chroot")


@dataclass(frozen=True)
class _Plan:
    """What will be built on what."""

    facts: BaseFacts
    distro: Distro
    disk: PlannedDisk
    identity: Identity


def customize(request: CustomizeRequest, emit: Emit) -> None:
    """Carry out a request. Leaves this process in namespaces of its own: start one process for each call.

    Raises TwinrootError; whatever is raised, there is no output file then.
    """
    require_programs(request)
    privileged = isolate()
    # The output gets its name last of all, when everything else has been cleaned up and nothing can fail any more.
    with (
        replacing(request.output_file) as partial,
        open_build_directory(request.build_dir) as build,
        naming_full_disk(request.build_dir, "build directory"),
        base_image(request, emit) as image_file,
    ):
        plan = _open_base(request, image_file, build.scratch, emit)
        with Mounts() as mounts:
            tree = assemble(plan.facts, plan.disk, build.scratch, mounts, privileged=privileged)
            found = _change(request, plan, tree, build, emit)
            contents = make_partitions(
                plan.disk, tree, build.scratch, plan.distro, plan.facts.disk.path, plan.identity, emit
            )
        # What the output is not made of would only be written to disk with it: the tree, usually the base as well.
        build.discard_except({content.source.path for content in contents})
        write_output(
            partial, request.output_file.name, request.output_format, plan.disk, contents, found, plan.identity,
            scratch=build.scratch, level=request.compression_level, emit=emit,
        )  # fmt: skip


def require_programs(request: CustomizeRequest) -> None:
    """MissingToolError for a host program that this request will need."""
    require((*_PROGRAMS, *_PROGRAMS_ISOLATION))
    if any(path.is_dir() for path in request.rpm_sources):
        require(("createrepo_c",))


def _open_base(request: CustomizeRequest, image_file: Path, scratch: Path, emit: Emit) -> _Plan:
    name = str(image_file)
    image = probe(image_file)
    with phase(emit, "base", "Opening the base image", total=100, unit="percent") as advance:
        disk = open_raw(image, scratch, lambda percent: advance(int(percent)))
        facts = read_facts(disk, name)
    release = parse_os_release(facts.os_release)
    try:
        distro, architecture = recognise(release), image_architecture(facts)
    except InputError as error:
        raise InputError(error.message, where=name, hint=error.hint) from error
    log.info("Base image: %s, %s, %s", release.get("PRETTY_NAME", distro.name), architecture, image.format)
    if distro.packages == "deb" and request.rpm_sources:
        raise InputError("--rpm-source cannot be used with a base image that is made of Debian packages")
    identity = Identity(uuid4())
    layout = request.config.layout
    if layout:
        planned = plan_new_disk(layout, request.config.config.storage.filesystems, identity)
    else:
        planned = plan_kept_disk(disk.table, facts.filesystems)
    planned.holding("/")
    return _Plan(facts, distro, planned, identity)


def _change(request: CustomizeRequest, plan: _Plan, tree: Tree, build: BuildDirectory, emit: Emit) -> OsFacts:
    packages = change_os(request, plan.disk, plan.distro, tree.root, build, emit)
    return OsFacts(
        architecture=image_architecture(plan.facts),
        os_release=plan.facts.os_release,
        packages=tuple(packages),
    )
