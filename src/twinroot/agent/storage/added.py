"""File systems and swap areas outside of the pairs that an update's configuration has, and the machine lacks. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.deploy_plan import Deployment, NewFilesystem
from twinroot.agent.storage.devices import Devices
from twinroot.agent.storage.image_checks import EXT


def with_added(plan: Deployment, devices: Devices, type_of: Callable[[Path], str | None]) -> Deployment:
    """The plan of an update with what is to be made on devices that hold nothing; the fstab names it.

    `type_of` says what a device holds, None: nothing. ServicingError where it is something else: that may be wanted.
    """
    made, swaps = list(plan.filesystems), list(plan.swaps)
    for filesystem in devices.storage.filesystems:
        device_id = filesystem.device_id
        if filesystem.source != "new" or device_id is None or filesystem.is_esp or devices.graph.is_on_pair(device_id):
            continue
        path, wanted = devices.path(device_id), str(filesystem.type)
        if _is_missing(path, wanted, type_of(path)):
            made.append(NewFilesystem(device_id, path, wanted))
    for swap in devices.storage.swap:
        path = devices.path(swap.device_id)
        if _is_missing(path, "swap", type_of(path)):
            swaps.append(path)
    return replace(plan, filesystems=tuple(made), swaps=tuple(swaps))


def _is_missing(path: Path, wanted: str, found: str | None) -> bool:
    if found in (None, wanted) or (found in EXT and wanted in EXT):
        return found is None
    message = f"{path} is to hold {wanted}, and holds {found}, which an update does not overwrite"
    hint = f"save what you need of it, and wipe it: wipefs --all {path}"
    raise ServicingError("invalid-host-configuration-dynamic", message, hint=hint)
