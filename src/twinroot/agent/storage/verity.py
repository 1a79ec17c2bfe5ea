"""The verity devices of a new system while it is prepared (servicing spec, sections 6.1, 7.1 and 7.4).

They have names of their own, beside those of the running system, which may be on a verity device too. Device mapper
keeps open what is open whatever becomes of us: what an interrupted run left is closed before the devices are written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.deploy_plan import VerityOpen
from twinroot.errors import CommandError
from twinroot.interrupts import held
from twinroot.tools.block_devices import close_verity, knows_verity, open_verity, opened_verity_names

log = logging.getLogger(__name__)

LEFTOVERS = ("root_new", "usr_new")
"""The names of all devices that are opened here."""

_BLOCK = 4096


def check_kernel() -> None:
    """ServicingError where the kernel of this machine cannot open verity devices."""
    if not knows_verity():
        message = "the kernel that runs cannot open what dm-verity protects"
        raise ServicingError("create-verity", message, hint="start a system whose kernel has the module dm-verity")


def close_leftovers() -> None:
    """Close what an interrupted run left open. ServicingError for what is in use."""
    for name in set(LEFTOVERS).intersection(opened_verity_names()):
        _close(name)


@contextmanager
def opened_verity(devices: tuple[VerityOpen, ...]) -> Iterator[None]:
    """The verity devices of the new system, open while the block runs.

    ServicingError where that cannot be, and where the root hash is not that of the data.
    """
    with ExitStack() as stack:
        for device in devices:
            with held():
                path = _open(device)
                stack.push(_closing(device.name))
            _check(device, path)
        yield


def _open(device: VerityOpen) -> Path:
    try:
        return open_verity(device.data, device.hashes, device.name, device.root_hash)
    except CommandError as error:
        said = error.output.strip().splitlines()
        message = f"{device.data} cannot be opened with the hashes on {device.hashes}"
        hint = "build the image anew"
        raise ServicingError("create-verity", f"{message}: {said[-1]}" if said else message, hint=hint) from error


def _check(device: VerityOpen, path: Path) -> None:
    """Every block leads up to the root hash, so that one tells whether that is right: opening alone does not."""
    try:
        with path.open("rb", buffering=0) as opened:
            opened.read(_BLOCK)
    except OSError as error:
        message = f"the root hash of the image, {device.root_hash}, is not that of its data and hashes"
        raise ServicingError("create-verity", message, hint="build the image anew") from error


def _closing(name: str) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], bool]:
    """A way out that closes a device. What led there is not hidden by what goes wrong then."""

    def leave(kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> bool:
        try:
            _close(name)
        except ServicingError as error:
            if kind is None:
                raise
            log.warning("%s", error)
        return False

    return leave


def _close(name: str) -> None:
    with held():
        try:
            close_verity(name)
        except CommandError as error:
            message = f"the verity device {name} cannot be closed: it is in use"
            hint = f"unmount what is on /dev/mapper/{name}, or restart the machine"
            raise ServicingError("cleanup-verity", message, hint=hint) from error
