"""New systems that dm-verity protects and that a unified kernel starts: they are as their image has them.

Which devices are opened is part of the kernel, and with a root that is protected, so is /etc part of that: no overlay
is mounted over it without arguments for the kernel. What cannot be changed is checked instead: that the system will
find on this machine what it looks for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from twinroot.agent.agent_config import DEFAULT_PATH, datastore_path
from twinroot.agent.boot import kernels
from twinroot.agent.boot.verity_arguments import VerityArguments, verity_arguments
from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.files import write_files
from twinroot.agent.scripts import printable
from twinroot.agent.servicing.configure import run_scripts
from twinroot.agent.servicing.job import Job, Materials
from twinroot.agent.servicing.kernel_target import verity_device
from twinroot.agent.storage.device_names import names_device
from twinroot.config.host.storage_rules import holding
from twinroot.sandbox.chroot import open_chroot
from twinroot.sandbox.paths import read_text
from twinroot.storage.fstab import FSTAB, FstabEntry, fstab_entries
from twinroot.tools.blkid import probe

log = logging.getLogger(__name__)

_BUILD_ANEW = "build the image anew"


def check_settings(job: Job) -> None:
    """ServicingError for a configuration without which the machine could not be reached, but which has no effect."""
    if job.sealed and job.config.os.netplan is not None:
        message = "os.netplan cannot reach a system whose root verity protects and that a unified kernel starts"
        hint = "configure the network in the image, and remove os.netplan"
        raise ServicingError("invalid-host-configuration-dynamic", message, hint=hint)


def check_kernel(job: Job, content: Path) -> None:
    """Before anything is written: the kernel in `content`, the image's ESP, has the root hash of the metadata.

    ServicingError if not.
    """
    device = verity_device(job.devices, job.image)
    if not job.uki or device is None:
        return
    found = _arguments(content, device.name).root_hash
    if found != device.root_hash.lower():
        has = f"{device.name}hash={printable(found)}" if found else f"no {device.name}hash="
        message = f"the unified kernel of the image has {has}, but the image is said to have {device.root_hash}"
        raise ServicingError("verity-mismatch", message, hint=_BUILD_ANEW)


def check_devices(job: Job, content: Path) -> None:
    """Once the images are written: the kernel will open those of this half. ServicingError if not."""
    device = verity_device(job.devices, job.image)
    if not job.uki or device is None:
        return
    found = _arguments(content, device.name)
    section = next(each for each in job.config.storage.verity if each.name == device.name)
    for device_id, source in ((section.data_device_id, found.data), (section.hash_device_id, found.hashes)):
        path, shown = job.devices.path(device_id), printable(str(source))
        if source is None or not names_device(source, path, probe(path)):
            message = f"the unified kernel of the image looks for {shown}, which is not {device_id} on this machine"
            raise ServicingError("verity-mismatch", message, hint="have it look for UUIDs, which the image brings")
        other = job.devices.path(device_id, other=True)
        if other != path and not job.installs and names_device(source, other, probe(other)):
            message = f"the unified kernel of the image looks for {shown}, which both halves of {device_id} are"
            raise ServicingError("duplicate-fs-uuid-ab-update", message, hint=_BUILD_ANEW)


def check_root(job: Job, root: Path) -> None:
    """Of a root that cannot change: what it mounts and where the agent looks for its database are on this machine.

    ServicingError if not.
    """
    _check_fstab(job, fstab_entries(read_text(root, FSTAB) or ""))
    _check_datastore(job, root)


def fill(job: Job, root: Path, materials: Materials) -> None:
    """What a configuration can do in the other file systems of the new system. ServicingError where it cannot."""
    with open_chroot(root) as chroot:
        write_files(root, materials.files)
        run_scripts(chroot, materials.post_configure, job.kind)


def _arguments(content: Path, name: str) -> VerityArguments:
    return verity_arguments(kernels.whole_command_line(content), name)


def _check_fstab(job: Job, entries: Iterable[FstabEntry]) -> None:
    mounted = {entry.mount_point: entry for entry in entries}
    kept = holding(job.config.storage, job.config.trident.datastore_path)
    for filesystem in job.config.storage.filesystems:
        device_id, point = filesystem.device_id, filesystem.mount_point
        if device_id is None or point is None or job.devices.verity(device_id):
            continue
        entry, path = mounted.get(point.target), job.devices.path(device_id)
        if entry is not None and not names_device(entry.source, path, probe(path)):
            message = f"{FSTAB} of the image mounts {printable(entry.source)} at {point.target}, "
            message += f"which is not {device_id} here"
            hint = "name what both halves share by PARTLABEL= (idType: part-label), and the rest by UUID="
            raise ServicingError("generate-fstab", message, hint=hint)
        if entry is None and kept and kept[1] is filesystem and not job.config.trident.disable:
            message = f"{FSTAB} of the image does not mount {point.target}, where the agent keeps its database"
            raise ServicingError("generate-fstab", message, hint=_BUILD_ANEW)
        if entry is None:
            log.warning("%s of the image does not mount %s at %s", FSTAB, device_id, point.target)


def _check_datastore(job: Job, root: Path) -> None:
    wanted = job.config.trident.datastore_path
    said = datastore_path(read_text(root, str(DEFAULT_PATH)) or "")
    if not job.config.trident.disable and said != Path(wanted):
        message = f"trident.datastorePath is {wanted}, but for {DEFAULT_PATH} of the image it is {said}"
        raise ServicingError("create-configuration-file", message, hint=f"put DatastorePath={wanted} into it")
