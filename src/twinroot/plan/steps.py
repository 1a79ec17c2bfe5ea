"""The steps of a customisation, in their order (image-config spec, section 9). Pure.

`tree_steps` is what happens to the OS tree: the builder carries out exactly these. `all_steps` adds what comes before
and after, for people to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from twinroot.config.image.config import ImageConfig
from twinroot.config.image.file import ConfigFile
from twinroot.config.image.os import Os
from twinroot.config.image.scripts import Script
from twinroot.config.load import LoadedConfig
from twinroot.units import exact


class Action(StrEnum):
    """What a step does."""

    OPEN = "open-base-image"
    LAYOUT = "lay-out-disk"
    KEEP_LAYOUT = "keep-disk-layout"
    FSTAB = "write-fstab"
    FSTAB_IDENTIFIERS = "renew-uuids-in-fstab"
    PACKAGES = "packages"
    HOSTNAME = "hostname"
    GROUPS = "groups"
    USERS = "users"
    DIRECTORIES = "additional-directories"
    FILES = "additional-files"
    SERVICES = "services"
    MODULES = "modules"
    RELEASE = "release-file"
    HISTORY = "image-history"
    BOOT_LOADER = "boot-loader"
    KERNEL_ARGUMENTS = "kernel-arguments"
    SELINUX = "selinux"
    OVERLAYS = "overlays"
    VERITY = "prepare-verity"
    INITRAMFS = "initramfs"
    POST_SCRIPTS = "post-customization-scripts"
    RESOLV_CONF = "resolv-conf"
    UKI = "prepare-ukis"
    REMOVE_PACKAGE_MANAGER = "remove-package-manager"
    RELABEL = "selinux-labels"
    FINAL_SCRIPTS = "finalize-customization-scripts"
    KERNEL_CHECK = "check-kernel"
    FILESYSTEMS = "make-filesystems"
    VERITY_HASHES = "verity-hashes"
    BUILD_UKIS = "build-ukis"
    ARTIFACTS = "write-artifacts"
    SELINUX_POLICY = "write-selinux-policy"
    OUTPUT = "write-output"


@dataclass(frozen=True)
class Step:
    """One step. `file` is the place in `LoadedConfig.files` of the file whose section it carries out."""

    action: Action
    title: str
    details: tuple[str, ...] = ()
    file: int | None = None


@dataclass(frozen=True)
class Ends:
    """The two ends of a customisation as the command line and the configuration name them; None for not given."""

    base_image: str | None
    output_file: str | None
    output_format: str | None


_PerFile = Callable[[ConfigFile], tuple[Action, str, tuple[str, ...]] | None]


def all_steps(loaded: LoadedConfig, ends: Ends, snapshot_time: datetime | None = None) -> tuple[Step, ...]:
    """Every step from the base image to the output."""
    return (*_opening(loaded, ends), *tree_steps(loaded, snapshot_time), *_closing(loaded, ends))


def tree_steps(loaded: LoadedConfig, snapshot_time: datetime | None = None) -> tuple[Step, ...]:
    """What happens inside the OS tree. `snapshot_time` of packages counts before those of the files."""
    steps: list[Step] = []
    config, wanted = loaded.config, loaded.config.os or Os()
    if loaded.layout:
        steps.append(Step(Action.FSTAB, "Write /etc/fstab"))
    elif config.storage.reset_partitions_uuids_type:
        steps.append(Step(Action.FSTAB_IDENTIFIERS, "Name partitions by their new UUIDs in /etc/fstab"))
    steps += _for_each_file(loaded.files, partial(_packages, snapshot_time))
    if wanted.hostname:
        steps.append(Step(Action.HOSTNAME, f"Set the host name: {wanted.hostname}"))
    steps += _for_each_file(loaded.files, _groups, _users)
    for describe in (_directories, _files, _services, _modules):
        steps += _for_each_file(loaded.files, describe)
    steps.append(Step(Action.RELEASE, "Write /etc/image-customizer-release"))
    if wanted.image_history != "none":
        steps.append(Step(Action.HISTORY, "Add to the history of the image"))
    steps += _boot_loader(wanted)
    if wanted.selinux.mode:
        steps.append(Step(Action.SELINUX, f"Set SELinux to {wanted.selinux.mode}"))
    steps += _for_each_file(loaded.files, _overlays)
    steps += _before_scripts(config)
    steps += _for_each_file(loaded.files, _post_scripts)
    steps.append(Step(Action.RESOLV_CONF, "Link /etc/resolv.conf to systemd-resolved, if nothing else is there"))
    if wanted.uki:
        steps.append(Step(Action.UKI, f"Prepare unified kernel images ({wanted.uki.mode or 'create'})"))
    if wanted.packages.remove_package_manager:
        steps.append(Step(Action.REMOVE_PACKAGE_MANAGER, "Remove the package manager"))
    if wanted.selinux.mode != "disabled":
        where = "" if wanted.selinux.mode else ", if the image uses SELinux"
        steps.append(Step(Action.RELABEL, f"Set SELinux labels{where}"))
    steps += _for_each_file(loaded.files, _final_scripts)
    steps.append(Step(Action.KERNEL_CHECK, "Check that a kernel is installed"))
    return tuple(steps)


def _opening(loaded: LoadedConfig, ends: Ends) -> Iterator[Step]:
    yield Step(Action.OPEN, "Open the base image, read-only", (ends.base_image or "none is given yet",))
    layout = loaded.layout
    if layout:
        count = len(layout.partitions)
        yield Step(Action.LAYOUT, f"Lay out a disk of {exact(layout.disk_size)} with {count} partitions")
    elif loaded.config.storage.reset_partitions_uuids_type:
        yield Step(Action.KEEP_LAYOUT, "Keep the partitions of the base image, with new UUIDs")
    else:
        yield Step(Action.KEEP_LAYOUT, "Keep the partitions of the base image, with their UUIDs and labels")


def _closing(loaded: LoadedConfig, ends: Ends) -> Iterator[Step]:
    config = loaded.config
    made = tuple(
        f"{filesystem.type} on {filesystem.device_id}" + "".join(f", for {p.path}" for _, p in filesystem.mounts())
        for filesystem in config.storage.filesystems
        if filesystem.type
    )
    yield Step(Action.FILESYSTEMS, "Make the file systems", made or ("those of the base image, anew from their files",))
    if config.storage.verity:
        yield Step(
            Action.VERITY_HASHES, "Compute verity hashes", tuple(device.name for device in config.storage.verity)
        )
    if config.os and config.os.uki and config.os.uki.mode != "passthrough":
        yield Step(Action.BUILD_UKIS, "Build unified kernel images")
    if config.output.artifacts:
        items = ", ".join(config.output.artifacts.items)
        yield Step(
            Action.ARTIFACTS, "Write out artifacts", (items, str(loaded.resolve(("output", "artifacts", "path"))))
        )
    if config.output.selinux_policy_path:
        where = str(loaded.resolve(("output", "selinuxPolicyPath")))
        yield Step(Action.SELINUX_POLICY, "Write out the SELinux policy", (where,))
    kind = f" as {ends.output_format}" if ends.output_format else ""
    yield Step(Action.OUTPUT, f"Write the output{kind}", (ends.output_file or "none is given yet",))


def _for_each_file(files: Sequence[ConfigFile], *descriptions: _PerFile) -> Iterator[Step]:
    """File by file, bases first, what `descriptions` say in their order."""
    for index, file in enumerate(files):
        for describe in descriptions:
            found = describe(file)
            if found:
                action, title, details = found
                yield Step(action, title, details, index)


def _os(file: ConfigFile) -> Os:
    return file.config.os or Os()


def _packages(snapshot_time: datetime | None, file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    changes = file.packages.at(snapshot_time)
    named = (("remove", changes.remove), ("install", changes.install), ("update", changes.update))
    details = [f"{verb}: {', '.join(names)}" for verb, names in named if names]
    if changes.update_existing:
        details.insert(1 if changes.remove else 0, "update everything that is installed")
    if changes.snapshot_time and (details or file.packages.snapshot_time):
        details.append(f"only packages published before {changes.snapshot_time.isoformat()}")
    return (Action.PACKAGES, "Change packages", tuple(details)) if details else None


def _groups(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    names = ", ".join(group.name for group in _os(file).groups)
    return (Action.GROUPS, f"Create groups: {names}", ()) if names else None


def _users(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    names = ", ".join(user.name for user in _os(file).users)
    return (Action.USERS, f"Create or change users: {names}", ()) if names else None


def _directories(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    details = tuple(f"{each.source} to {each.destination}" for each in _os(file).additional_dirs)
    return (Action.DIRECTORIES, "Copy directories", details) if details else None


def _files(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    details = tuple(f"{each.source or 'text'} to {each.destination}" for each in _os(file).additional_files)
    return (Action.FILES, "Copy files", details) if details else None


def _services(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    services = _os(file).services
    named = (("enable", services.enable), ("disable", services.disable))
    details = tuple(f"{verb}: {', '.join(names)}" for verb, names in named if names)
    return (Action.SERVICES, "Set services", details) if details else None


def _modules(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    details = tuple(f"{module.name}: {module.load_mode or 'inherit'}" for module in _os(file).modules)
    return (Action.MODULES, "Configure kernel modules", details) if details else None


def _overlays(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    details = tuple(overlay.mount_point for overlay in _os(file).overlays or ())
    return (Action.OVERLAYS, "Add overlays to /etc/fstab", details) if details else None


def _boot_loader(wanted: Os) -> Iterator[Step]:
    arguments = wanted.kernel_command_line.extra_command_line
    details = (f"kernel arguments: {' '.join(arguments)}",) if arguments else ()
    if wanted.bootloader.reset_type:
        yield Step(Action.BOOT_LOADER, "Reset the boot loader", details)
    elif arguments:
        yield Step(Action.KERNEL_ARGUMENTS, "Add to the kernel command line", details)


def _before_scripts(config: ImageConfig) -> Iterator[Step]:
    storage = config.storage
    if storage.verity:
        yield Step(Action.VERITY, "Prepare verity", tuple(device.name for device in storage.verity))
    new_devices = storage.disks or storage.reset_partitions_uuids_type or storage.verity
    if new_devices or (config.os and config.os.overlays is not None):
        yield Step(Action.INITRAMFS, "Regenerate the initramfs with the image's own tool")


def _post_scripts(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    details = _script_names(file.config.scripts.post_customization)
    return (Action.POST_SCRIPTS, "Run scripts (postCustomization)", details) if details else None


def _final_scripts(file: ConfigFile) -> tuple[Action, str, tuple[str, ...]] | None:
    details = _script_names(file.config.scripts.finalize_customization)
    return (Action.FINAL_SCRIPTS, "Run scripts (finalizeCustomization)", details) if details else None


def _script_names(scripts: Sequence[Script]) -> tuple[str, ...]:
    return tuple(script.name or script.path or "inline script" for script in scripts)
