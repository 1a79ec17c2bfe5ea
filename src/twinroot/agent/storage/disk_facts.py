"""What is on a machine's disks and who uses it, as the kernel tells it: the facts that plans are made from."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.disk_plan import DiskFacts, Use
from twinroot.agent.storage.whole_disk import Candidate
from twinroot.config.host.storage import Storage
from twinroot.errors import FormatError
from twinroot.formats import gpt

BY_PARTUUID = Path("/dev/disk/by-partuuid")
_SYS = Path("/sys/class/block")
_DISK_NAME = re.compile(r"(sd|hd|vd)[a-z]+|nvme\d+n\d+|mmcblk\d+")
_SYS_SECTOR = 512  # bytes; sysfs counts sizes in these whatever the disk has


def read_facts(storage: Storage) -> dict[str, DiskFacts]:
    """The facts of every disk of a configuration, by its id. ServicingError for what is no disk."""
    return {disk.id: disk_facts(Path(disk.device)) for disk in storage.disks}


def disk_facts(device: Path) -> DiskFacts:
    """The facts of one disk, named by any path that leads to its device."""
    real = _real_device(device)
    system = _SYS / real.name
    if (system / "partition").exists():
        raise _dynamic(f"{device} is a partition, not a disk", "invalid-disk-block-device-path")
    size = int((system / "size").read_text()) * _SYS_SECTOR
    sector = int((system / "queue/logical_block_size").read_text())
    read_only = (system / "ro").read_text().strip() != "0"
    return DiskFacts(str(real), size, sector, read_only, _table(real, size), tuple(_uses(system)))


def candidates(blocks: Path = Path("/sys/block")) -> list[Candidate]:
    """The disks of this machine that a whole image may be meant for (servicing spec, section 17.5)."""
    found = []
    for entry in sorted(blocks.iterdir()):
        if _DISK_NAME.fullmatch(entry.name) and (entry / "size").read_text().strip() != "0":
            device = Path("/dev", entry.name)
            removable = (entry / "removable").read_text().strip() != "0"
            try:
                found.append(Candidate(disk_facts(device), removable))
            except OSError as error:
                found.append(Candidate(DiskFacts(str(device), 0), fault=f"it cannot be read: {error.strerror}"))
    return found


def foreign_uuids(facts: Iterable[DiskFacts], links: Path = BY_PARTUUID) -> frozenset[UUID]:
    """UUIDs of partitions on all disks but these."""
    ours = {Path(each.device).name for each in facts}
    found = set()
    for link in links.iterdir() if links.is_dir() else ():
        disk = (_SYS / link.resolve().name).resolve().parent.name
        if disk not in ours and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", link.name):
            found.add(UUID(link.name))
    return frozenset(found)


def _real_device(device: Path) -> Path:
    try:
        real = device.resolve(strict=True)
        mode = real.stat().st_mode
    except OSError as error:
        raise _dynamic(f"the disk {device} is not there: {error.strerror}", "invalid-disk-path") from error
    if not stat.S_ISBLK(mode) or Path("/dev") not in real.parents:
        raise _dynamic(f"{device} is not a disk", "invalid-disk-block-device-path")
    return real


def _table(device: Path, size: int) -> gpt.Table | None:
    """The disk's GPT; None where it has none that is whole."""
    with device.open("rb") as stream:
        try:
            return gpt.read_table(stream, size)
        except FormatError:
            return None


def _uses(system: Path) -> Iterator[Use]:
    """Mounts, swap areas and devices built upon a disk and its partitions."""
    by_number = _mounts() | _swaps()
    parts = [entry for entry in system.iterdir() if (entry / "partition").is_file()]
    for entry in (system, *parts):
        number = int((entry / "partition").read_text()) if entry is not system else None
        what = by_number.get((entry / "dev").read_text().strip())
        if what:
            yield Use(number, what)
        for holder in sorted((entry / "holders").iterdir()):
            yield Use(number, f"held by {holder.name}")


def _mounts() -> dict[str, str]:
    """`major:minor` of every device that is mounted, with where; btrfs mounts show another number than their device."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, source = line.partition(" - ")
        _id, _parent, number, _root, target = fields.split()[:5]
        found[number] = f"mounted at {target}"
        device = source.split()[1]
        if device.startswith("/dev/") and (own := _number(device)):
            found[own] = f"mounted at {target}"
    return found


def _swaps() -> dict[str, str]:
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    return {number: "used as swap" for line in lines if (number := _number(line.split()[0]))}


def _number(device: str) -> str | None:
    try:
        status = Path(device).stat()
    except OSError:
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def _dynamic(message: str, inner: str) -> ServicingError:
    hint = "look at the disks of the machine with: ls -l /dev/disk/by-path"
    return ServicingError("invalid-host-configuration-dynamic", message, hint=hint, inner=inner)
