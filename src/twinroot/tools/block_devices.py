"""util-linux, udev and cryptsetup on block devices: partitions, old signatures, new filesystems, swap, dm-verity."""

from __future__ import annotations

import ctypes
import fcntl
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from twinroot.errors import HostError
from twinroot.tools.run import first_available, run

_MAKE: dict[str, tuple[str, ...]] = {
    # -F: a whole device or file without asking; nothing is left for a kernel thread to write later.
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
    "vfat": ("mkfs.vfat",),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "ntfs": ("mkfs.ntfs", "-q", "-Q", "-F"),
}
FILESYSTEM_TYPES = tuple(_MAKE)
"""What `make_filesystem` can make."""
# <linux/blkpg.h>: operation, flags, length and address of the data; begin and length in bytes, number, two names.
_BLKPG, _ADD = 0x1269, 1
_ARGUMENT = struct.Struct("@iiiP")
_PARTITION = struct.Struct("@qqi64s64s4x")


def update_partitions(disk: Path) -> None:
    """Have the kernel see a changed partition table, partitions in use among it that stayed as they are."""
    run(["partx", "--update", disk])


def forget_partitions(disk: Path) -> None:
    """Have the kernel know no partition of a disk any more. CommandError when one is in use."""
    if _partitions(disk):
        run(["partx", "--delete", disk], hint="is a partition of it mounted, or part of something that runs?")


def add_partition(disk: Path, number: int, start: int, size: int) -> Path:
    """Have the kernel know a partition that no table on the disk names, and return its device; sizes in bytes.

    As addpart does, which Debian 13 has in a package that few machines have. HostError when the kernel refuses.
    """
    partition = ctypes.create_string_buffer(_PARTITION.pack(start, size, number, b"", b""))
    argument = _ARGUMENT.pack(_ADD, 0, len(partition.raw), ctypes.addressof(partition))
    try:
        with disk.open("rb") as device:
            fcntl.ioctl(device, _BLKPG, argument)
    except OSError as error:
        raise HostError(f"partition {number} cannot be added: {error.strerror}", where=str(disk)) from error
    found = _partitions(disk).get(number)
    if found is None:
        raise HostError(f"partition {number} was added, and has gone again", where=str(disk))
    return found


def _partitions(disk: Path) -> dict[int, Path]:
    """The devices of what the kernel knows as partitions of a disk, by number."""
    found = {}
    for entry in Path("/sys/class/block", disk.resolve().name).glob("*/partition"):
        with suppress(FileNotFoundError):  # It has gone meanwhile.
            found[int(entry.read_text())] = Path("/dev", entry.parent.name)
    return found


def announce(disk: Path) -> None:
    """Have udev look at a disk and its partitions, which it may not have done while the disk was locked."""
    if first_available(["udevadm"]):
        # By their names, as a pattern finds other disks too. Where no udev runs, sysfs may be read-only.
        run(["udevadm", "trigger", "--action=change", disk, *_partitions(disk).values()], ok=(0, 1))


def settle() -> None:
    """Wait until udev has made its links; machines without it need not wait."""
    if first_available(["udevadm"]):
        run(["udevadm", "settle", "--timeout=60"])


def wipe_signatures(device: Path) -> None:
    """Remove what old filesystems, arrays and tables are recognised by. CommandError when the device is in use."""
    run(["wipefs", "--all", "--quiet", device], hint="is it mounted, or part of something that runs?")


def make_filesystem(device: Path, fs_type: str) -> None:
    """Make an empty filesystem on a whole device."""
    run([*_MAKE[fs_type], device])


def make_swap(device: Path) -> None:
    """Make a swap area of a device."""
    run(["mkswap", device])


def open_verity(data: Path, hashes: Path, name: str, root_hash: str) -> Path:
    """The device below /dev/mapper through which verified data is read."""
    run(["veritysetup", "open", data, name, hashes, root_hash])
    return Path("/dev/mapper", name)


def close_verity(name: str) -> None:
    """Take away a device of `open_verity`."""
    run(["veritysetup", "close", name], hint="is anything on it still mounted?")


def knows_verity() -> bool:
    """Whether the running kernel can open verity devices, by a module that it may have to load first."""
    if first_available(["modprobe"]):
        run(["modprobe", "--quiet", "dm-verity"], ok=range(256))
    return Path("/sys/module/dm_verity").is_dir()


def opened_verity_names(blocks: Path = Path("/sys/block")) -> Iterator[str]:
    """The names of all verity devices that are open; `blocks` is where the kernel tells of its block devices."""
    for mapped in sorted(blocks.glob("dm-*/dm")):
        try:
            uuid, name = ((mapped / field).read_text().strip() for field in ("uuid", "name"))
        except FileNotFoundError:
            continue  # It has gone meanwhile.
        # What made a device gives it a mark; libcryptsetup's begins so.
        if uuid.startswith("CRYPT-VERITY-"):
            yield name


def verify_verity(data: Path, hashes: Path, root_hash: str) -> None:
    """Read all data and compare it with the hashes; CommandError when anything differs."""
    run(["veritysetup", "verify", data, hashes, root_hash])
