"""What is on a machine's disks and who uses it, as the kernel tells it: the facts that plans are made from."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.claims import claimed, hidden_from_udev
from twinroot.agent.storage.disk_plan import DiskFacts, Use
from twinroot.agent.storage.whole_disk import Candidate
from twinroot.config.host.storage import Storage
from twinroot.errors import BusyError, FormatError, HostError
from twinroot.formats import gpt

BY_PARTUUID = Path("/dev/disk/by-partuuid")
_SYS = Path("/sys/class/block")
DISK_NAME = re.compile(r"(sd|hd|vd|xvd)[a-z]+|nvme\d+n\d+|mmcblk\d+")
_GONE = (errno.ENOENT, errno.ENXIO)
_SYS_SECTOR = 512  # bytes; sysfs counts sizes in these whatever the disk has


def read_facts(storage: Storage) -> dict[str, DiskFacts]:
    """The facts of every disk of a configuration, by its id. ServicingError for what is no disk."""
    return {disk.id: disk_facts(Path(disk.device)) for disk in storage.disks}


def disk_facts(device: Path) -> DiskFacts:
    """The facts of one disk, named by any path that leads to its device. BusyError while other programs change it."""
    real = _real_device(device)
    system = _SYS / real.name
    if (system / "partition").exists():
        raise _dynamic(f"{device} is a partition, not a disk", "invalid-disk-block-device-path")
    size = int((system / "size").read_text()) * _SYS_SECTOR
    sector = int((system / "queue/logical_block_size").read_text())
    read_only = (system / "ro").read_text().strip() != "0"
    # Of a disk that was just written, udev has the kernel forget the partitions and find them again.
    with hidden_from_udev(real, only_look=True):
        return DiskFacts(str(real), size, sector, read_only, _table(real, size), _all_uses(system))


def candidates(pattern: re.Pattern[str] = DISK_NAME) -> list[Candidate]:
    """The disks of this machine that a whole image may be meant for (servicing spec, section 17.5), by their names."""
    found = []
    for entry in sorted(Path("/sys/block").iterdir()):
        if pattern.fullmatch(entry.name) and (entry / "size").read_text().strip() != "0":
            device = Path("/dev", entry.name)
            try:
                found.append(Candidate(disk_facts(device), _is_removable(entry)))
            except BusyError as error:
                found.append(Candidate(DiskFacts(str(device), 0), fault=error.message, unsettled=True))
            except HostError as error:
                found.append(Candidate(DiskFacts(str(device), 0), fault=f"it cannot be used: {error.message}"))
    return found


def _is_removable(system: Path) -> bool:
    """Whether a disk is one that people take with them: on USB, or a card. `system` is its folder in sysfs."""
    if (system / "removable").read_text().strip() != "0" or "usb" in str(system.resolve()):
        return True
    kind = system / "device/type"
    return system.name.startswith("mmcblk") and kind.is_file() and kind.read_text().strip() == "SD"


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
    """The disk's GPT; None where it has none that is whole. HostError for a disk that cannot be read."""
    try:
        with device.open("rb") as stream:
            return gpt.read_table(stream, size)
    except FormatError:
        return None
    except OSError as error:
        message = f"the disk cannot be read: {error.strerror}"
        raise HostError(message, where=str(device), hint="look for faults of the disk with dmesg") from error


def _all_uses(system: Path) -> tuple[Use, ...]:
    try:
        return tuple(_uses(system))
    except FileNotFoundError as error:
        message = "its partitions changed while they were looked at"
        hint = "try again when no other program changes them"
        raise BusyError(message, where=f"/dev/{system.name}", hint=hint) from error


def _uses(system: Path) -> Iterator[Use]:
    """Mounts, swap areas and devices built upon a disk and its partitions."""
    by_number = _loops() | _mounts() | _swaps()
    parts = [entry for entry in system.iterdir() if (entry / "partition").is_file()]
    unused = True
    for entry in (*parts, system):
        number = int((entry / "partition").read_text()) if entry is not system else None
        what = by_number.get((entry / "dev").read_text().strip())
        found = [what] if what else []
        found += [f"held by {holder.name}" for holder in sorted((entry / "holders").iterdir())]
        # The kernel says of a disk that it is in use when a partition of it is.
        if not found and (unused or entry is not system) and _is_claimed(Path("/dev", entry.name)):
            found = ["used by the kernel, as a member of a file system or of an array may be"]
        unused = unused and not found
        yield from (Use(number, use) for use in found)


def _is_claimed(device: Path) -> bool:
    """Whether the kernel gives a device to nobody else. FileNotFoundError when it has gone, HostError else."""
    try:
        with claimed(device):
            return False
    except BusyError:
        return True
    except HostError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _GONE:
            raise FileNotFoundError(device) from error
        raise


def _loops() -> dict[str, str]:
    """`major:minor` of every device that loop devices lead to: they are not claimed by them."""
    found = {}
    for backing in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        try:
            path = backing.read_text().rstrip("\n")
        except FileNotFoundError:
            continue  # It has gone meanwhile.
        if path.startswith("/dev/") and (number := _number(path)):
            found[number] = f"used through {backing.parent.parent.name}"
    return found


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
