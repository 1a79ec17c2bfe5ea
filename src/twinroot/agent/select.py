"""Which kind of servicing a new configuration asks for (servicing spec, section 3). Pure."""

from __future__ import annotations

from twinroot.agent.errors import ServicingError
from twinroot.agent.states import ServicingType
from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import is_set
from twinroot.config.host.os import Os
from twinroot.config.host.storage_rules import root_verity

_REBOOTING = ("users", "hostname", "modules", "services", "kernel_command_line", "selinux")
"""Fields of `os` that only a newly written system can change."""

_STORAGE = ("disks", "raid", "encryption", "ab_update")
"""Fields of `storage` that no update can change."""

_MOUNTED = ("filesystems", "verity", "swap")
"""Fields of `storage` that a newly written system has in its fstab."""


def update_type(old: HostConfig, new: HostConfig) -> ServicingType:
    """The kind of an update from one configuration to another, NONE when nothing is to be done.

    `image.sha384` of both is the hash of the metadata where it is known. ServicingError for what is no update.
    """
    if old == HostConfig():
        message = "this machine has no configuration yet, so it cannot be updated"
        raise ServicingError("clean-install-on-provisioned-host", message, hint="use install")
    if is_set(new.internal_params, "forceAbUpdate") or _other_image(old, new):
        return ServicingType.AB_UPDATE
    kinds = (_of_scripts(old, new), _of_storage(old, new), _of_os(old.os, new.os))
    found = max(kinds, key=lambda kind: kind.rank)
    if found is ServicingType.RUNTIME_UPDATE and root_verity(old.storage):
        # The running system has an /etc that cannot change. The peer begins there, and fails.
        return ServicingType.AB_UPDATE
    return found


def changed_storage(old: HostConfig, new: HostConfig) -> tuple[str, ...]:
    """The fields of `storage` that differ although no update can change them; empty where that is allowed."""
    if is_set(new.internal_params, "allowHostConfigStorageChange"):
        return ()
    return tuple(name for name in _STORAGE if getattr(old.storage, name) != getattr(new.storage, name))


def _other_image(old: HostConfig, new: HostConfig) -> bool:
    if new.image is None:
        if old.image is None:
            return False
        message = "the new configuration has no image, but that of the machine has"
        raise ServicingError("missing-os-image", message, hint="keep the section image")
    if old.image is None:
        return True
    if old.image.sha384 == new.image.sha384 == "ignored":
        return old.image.url != new.image.url
    return old.image.sha384 != new.image.sha384


def _of_scripts(old: HostConfig, new: HostConfig) -> ServicingType:
    """Nobody knows what a script would do, so another one asks for a newly written system.

    The peer writes one at every update of a configuration with scripts, changed or not.
    """
    return ServicingType.AB_UPDATE if new.scripts.any and new.scripts != old.scripts else ServicingType.NONE


def _of_storage(old: HostConfig, new: HostConfig) -> ServicingType:
    """What is mounted stands in the fstab of a system, which is written with it. The peer drops such a change."""
    changed = any(getattr(old.storage, name) != getattr(new.storage, name) for name in _MOUNTED)
    return ServicingType.AB_UPDATE if changed else ServicingType.NONE


def _of_os(old: Os, new: Os) -> ServicingType:
    """Network and extensions can change in the running system; the rest is only recorded then."""
    if any(getattr(old, name) != getattr(new, name) for name in _REBOOTING):
        return ServicingType.AB_UPDATE
    return ServicingType.RUNTIME_UPDATE if old != new else ServicingType.NONE
