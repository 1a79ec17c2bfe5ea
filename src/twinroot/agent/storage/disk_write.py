"""Writing planned partition tables: all disks are claimed before the first is written, each table as the last thing."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.claims import claimed, hidden_from_udev
from twinroot.agent.storage.disk_facts import BY_PARTUUID
from twinroot.agent.storage.disk_plan import DiskPlan
from twinroot.errors import HostError
from twinroot.formats import gpt
from twinroot.tools.block_devices import announce, settle, update_partitions, wipe_signatures

_PATIENCE = 30.0  # seconds for links of partitions to appear


def write_tables(plans: Sequence[DiskPlan], links: Path = BY_PARTUUID) -> dict[str, str]:
    """Write the tables, and wait for the partitions; their paths by id.

    Nothing is written when any disk is in use. BusyError, HostError; ServicingError when partitions do not appear.
    """
    with ExitStack() as locks:
        for plan in plans:
            locks.enter_context(hidden_from_udev(Path(plan.device)))
        with ExitStack() as claims:
            for plan in plans:
                if plan.new:  # where partitions are kept, they may be in use
                    claims.enter_context(claimed(Path(plan.device)))
        for plan in plans:
            if plan.new:
                wipe_signatures(Path(plan.device))
            write_table(Path(plan.device), plan.table)
            update_partitions(Path(plan.device))
    for plan in plans:
        announce(Path(plan.device))
    settle()
    paths = partition_paths(plans, links)
    for name, path in paths.items():
        _wait_for(name, Path(path))
    return paths


def partition_paths(plans: Sequence[DiskPlan], links: Path = BY_PARTUUID) -> dict[str, str]:
    """The path of each partition, by id (servicing spec, section 2.5). Pure."""
    return {name: str(links / str(plan.uuid_of(name))) for plan in plans for name in plan.numbers}


def write_table(device: Path, table: gpt.Table) -> None:
    """Backup first, synced, then the beginning: whenever power fails, one of the two is whole. HostError."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            for data, offset in (
                (gpt.backup_bytes(table), gpt.backup_offset(table)),
                (gpt.primary_bytes(table), 0),
            ):
                _write_all(fd, data, offset)
                os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        hint = "look for faults of the disk with dmesg"
        message = f"the partition table cannot be written: {error.strerror}"
        raise HostError(message, where=str(device), hint=hint) from error


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done


def _wait_for(name: str, path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not path.is_block_device():
        if time.monotonic() > deadline:
            message = f"partition {name} was written, but {path} does not appear"
            raise ServicingError("create-partitions", message, hint="is udev running?")
        time.sleep(0.05)
