"""Finding out what steps depend on: digests of the base image, of the configuration and of the files that it names.

Names are for people: `--why-rebuild` shows them.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from twinroot import __file__ as own_package
from twinroot.builder.digests import Digests, listing
from twinroot.builder.request import CustomizeRequest
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.file import ConfigFile
from twinroot.config.uses import Pattern
from twinroot.distro.rpm_sources import host_paths
from twinroot.plan.content_ids import Ingredient, Recipe
from twinroot.plan.disk import PlannedDisk, mount_path
from twinroot.plan.steps import Action, Step

# How long what a remote repository brought counts as what it would bring now.
REMOTE_SECONDS = 24 * 60 * 60

# The keys that a step carries out. Steps without an entry depend on nothing but the steps before them.
_KEYS: dict[Action, tuple[str, ...]] = {
    Action.HOSTNAME: ("os.hostname",),
    Action.GROUPS: ("os.groups",),
    Action.USERS: ("os.users",),
    Action.DIRECTORIES: ("os.additionalDirs",),
    Action.FILES: ("os.additionalFiles",),
    Action.SERVICES: ("os.services",),
    Action.MODULES: ("os.modules",),
    Action.BOOT_LOADER: ("storage.bootType", "os.bootloader", "os.kernelCommandLine", "os.selinux"),
    Action.KERNEL_ARGUMENTS: ("os.kernelCommandLine",),
    Action.SELINUX: ("os.selinux",),
    Action.OVERLAYS: ("os.overlays",),
    Action.VERITY: ("storage.verity",),
    Action.POST_SCRIPTS: ("scripts.postCustomization",),
    Action.UKI: ("os.uki",),
    Action.FINAL_SCRIPTS: ("scripts.finalizeCustomization",),
}
_SCRIPTS = (Action.POST_SCRIPTS, Action.FINAL_SCRIPTS)


def foundation(image_file: Path, disk: PlannedDisk, digests: Digests) -> tuple[Ingredient, ...]:
    """What the whole tree stands on."""
    parts = [f"{mount_path(p)}:{p.filesystem.type}" for p in disk.mounted if p.filesystem]
    return (
        Ingredient(f"base image {image_file}", digests.content(image_file)),
        Ingredient("mount points and their file systems", _text("\n".join(parts))),
        Ingredient("twinroot itself", digests.contents(Path(own_package).parent, "*.py")),
        Ingredient("SOURCE_DATE_EPOCH", os.environ.get("SOURCE_DATE_EPOCH", "")),
    )


def recipe(request: CustomizeRequest, step: Step, digests: Digests) -> Recipe:
    """A step with what it depends on."""
    return Recipe(step.title, str(step.action), tuple(_ingredients(request, step, digests)))


def _ingredients(request: CustomizeRequest, step: Step, digests: Digests) -> Iterator[Ingredient]:
    file = None if step.file is None else request.config.files[step.file]
    config = file.config if file else request.config.config
    for key in _KEYS.get(step.action, ()):
        yield Ingredient(key, _text(_dump(config, key)))
    if file:
        yield from _named_files(file, _KEYS.get(step.action, ()), digests)
    if step.action is Action.PACKAGES and file:
        yield Ingredient("os.packages", _text(repr(request.packages(file))))
        yield from _repositories(request, digests)
    if step.action in _SCRIPTS and file:
        # A script sees the directory of its configuration file, and may read anything there.
        yield Ingredient(f"files in {file.path.parent}", listing(file.path.parent))
        yield Ingredient("--script-network", _text(repr(request.script_network)))


def _dump(config: ImageConfig, key: str) -> str:
    values = [
        value.model_dump_json() if hasattr(value, "model_dump_json") else repr(value)
        for _, value in Pattern(key).uses(config)
    ]
    return json.dumps(values)


def _named_files(file: ConfigFile, keys: tuple[str, ...], digests: Digests) -> Iterator[Ingredient]:
    for found in file.paths:
        steps = [step for step in found.key if isinstance(step, str)]
        if ".".join(steps[:2]) in keys:
            path = file.resolve(found.path)
            yield Ingredient(str(path), digests.copied(path, times=True) if found.copied else digests.content(path))


def _repositories(request: CustomizeRequest, digests: Digests) -> Iterator[Ingredient]:
    remote = request.base_repositories
    for source in request.rpm_sources:
        if source.is_dir():
            yield Ingredient(f"--rpm-source {source}", digests.contents(source))
            continue
        yield Ingredient(f"--rpm-source {source}", digests.content(source))
        here, elsewhere = host_paths(source)
        remote = remote or elsewhere
        for path in here:
            yield Ingredient(f"{path} of --rpm-source {source}", digests.contents(path))
    if remote:
        # Nobody can know what a remote repository holds without asking it, so what it brought counts for a day.
        yield Ingredient("what remote repositories hold (asked once a day)", str(int(time.time()) // REMOTE_SECONDS))


def _text(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
