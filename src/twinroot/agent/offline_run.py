"""The steps of `trident offline-initialize`: read the history and the disk of the root, keep the boot files of the slot
that runs, write the status. The status comes last, so that a run that was cut off is repeated as a whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from twinroot.agent.boot import esp
from twinroot.agent.boot.boot_entries import label_of
from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.boot.ukis import SELECTED
from twinroot.agent.datastore import Datastore, is_untouched
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus, read_status
from twinroot.agent.offline import esp_mount_point, parse_history, status_of, with_injection
from twinroot.agent.states import State
from twinroot.agent.storage.disk_facts import disk_facts
from twinroot.formats.gpt import Table

log = logging.getLogger(__name__)

HISTORY = Path("/usr/share/image-customizer/history.json")
DEFAULT_DISK = Path("/dev/sda")
_SYS_DEVICES = Path("/sys/dev/block")
_ON_THE_MACHINE = "run this on the machine itself after its first boot: during a build there is no disk yet"


def initialize(datastore: Path, history: Path, disk: Path, lazy: Mapping[str, UUID]) -> None:
    """Give this machine the status that its history and its disk tell. ServicingError where they do not."""
    if _is_provisioned(datastore):
        return
    found = parse_history(_read(history, "history-file-not-found"))
    status = status_of(found, _root_table(disk), str(disk), lazy, str(datastore))
    mounted = esp_mount_point(status.spec)
    label = label_of("volume-a", status.install_index)
    uki = EfiVariables().read(SELECTED) is not None
    if mounted and esp.keep_fallback(Path(mounted), label, uki=uki):
        log.info("%s now has the boot files of volume A, a copy of EFI/BOOT", mounted)
    _write(datastore, status)


def inject(datastore: Path, source: Path) -> None:
    """Give this machine a status that somebody wrote."""
    if not _is_provisioned(datastore):
        _write(datastore, with_injection(read_status(_read(source, "read-input-file"), str(source))))


def disk_of_root(root: Path = Path("/")) -> Path:
    """The disk that holds what is mounted at `root`, found through device mapper too. ServicingError if none does."""
    number = root.stat().st_dev
    device = (_SYS_DEVICES / f"{os.major(number)}:{os.minor(number)}").resolve()
    while (device / "slaves").is_dir() and (below := sorted((device / "slaves").iterdir())):
        device = below[0].resolve()
    if not (device / "partition").is_file():
        raise ServicingError("prism-chroot-environment", f"{root} is not on a partition", hint=_ON_THE_MACHINE)
    return Path("/dev", device.parent.name)


def _root_table(disk: Path) -> Table:
    """The partition table of the disk that the root is on, which must be the one that was named."""
    root = disk_of_root()
    if not disk.exists():
        raise ServicingError(
            "prism-chroot-environment", f"there is no disk {disk}", hint=f"the root is on: --disk {root}"
        )
    if disk.resolve() != root:
        message = f"{disk} is not the disk that the root is on"
        raise ServicingError("prism-chroot-environment", message, hint=f"write --disk {root}")
    if not os.access(root, os.R_OK):
        raise ServicingError("check-root-privileges", f"{root} may not be read", hint="run this as root")
    table = disk_facts(root).table
    if table is None:
        raise ServicingError("prism-chroot-environment", f"{root} has no GPT that is whole")
    return table


def _is_provisioned(path: Path) -> bool:
    """Whether the machine has a status already. ServicingError if that is of a servicing that is not at its end."""
    if not path.exists():
        return False
    with Datastore.open(path) as store:
        status = store.status()
    if status is None or is_untouched(status):
        return False
    if status.servicing_state is not State.PROVISIONED or status.is_management_os:
        message = f"this machine has a status already, in {path}: {status.servicing_state}"
        hint = "end what was begun, with 'trident commit', or remove the file if it is of another machine"
        raise ServicingError("unexpected-servicing-state", message, hint=hint)
    log.info("This machine is provisioned already; nothing is changed")
    return True


def _write(path: Path, status: HostStatus) -> None:
    with Datastore.create(path) as store:
        store.write(status)
    log.info("This machine is provisioned now; its status is in %s", path)


def _read(path: Path, absent: str) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        hint = "name the file with --history-path" if absent == "history-file-not-found" else None
        raise ServicingError(absent, f"there is no file {path}", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ServicingError("read-input-file", f"{path} cannot be read: {error}") from error
