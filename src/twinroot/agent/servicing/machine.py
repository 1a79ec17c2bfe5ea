"""Facts of the machine that the agent runs on: what it was started from, what it is called."""

from __future__ import annotations

import os
import platform
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.disk_facts import BY_PARTUUID
from twinroot.errors import HostError
from twinroot.formats.efi_boot import HardDrive

_SYS_BLOCKS = Path("/sys/dev/block")
_EFI = Path("/sys/firmware/efi")
_SYS_SECTOR = 512  # bytes; sysfs counts places and sizes in these whatever the disk has
_PLACEHOLDERS = ("localhost", "localhost.localdomain", "(none)")


@dataclass(frozen=True)
class RootDevice:
    """Device numbers, as `major:minor`, of what is mounted at / and of what that lies on."""

    numbers: frozenset[str]

    def lies_on(self, device: Path) -> bool:
        """Whether the running root is on a device; not when that is not there."""
        return device_number(device) in self.numbers


def root_device(mountinfo: Path = Path("/proc/self/mountinfo")) -> RootDevice:
    """The device of the running root, with those below it: of a verity device, data and hashes."""
    number = ""
    for line in mountinfo.read_text().splitlines():
        fields, _, source = line.partition(" - ")
        found, _root, target = fields.split()[2:5]
        if target == "/":
            # The number of btrfs is none of a device, the source is.
            device = source.split()[1]
            number = (device_number(Path(device)) if device.startswith("/dev/") else None) or found
    return RootDevice(frozenset({number, *_below(number)}))


def root_filesystem(mountinfo: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system at /, of several the one on top."""
    found = ""
    for line in mountinfo.read_text().splitlines():
        fields, _, source = line.partition(" - ")
        if fields.split()[4] == "/":
            found = source.split()[0]
    return found


def starts_by_efi() -> bool:
    """Whether the machine's firmware is a UEFI."""
    return _EFI.is_dir()


def device_number(device: Path) -> str | None:
    """`major:minor` of a block device; None when there is no such device."""
    try:
        status = device.stat()
    except OSError:
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def boot_partition(device: Path) -> HardDrive:
    """A GPT partition as boot entries name it. ServicingError for what is no partition, or has no UUID."""
    number = device_number(device)
    system = _SYS_BLOCKS / (number or "none")
    try:
        part = int((system / "partition").read_text())
        start, size = (int((system / name).read_text()) * _SYS_SECTOR for name in ("start", "size"))
        sector = int((system / "../queue/logical_block_size").read_text())
    except OSError as error:
        message = f"{device}, which holds the ESP, is no partition of a disk"
        raise ServicingError("create-boot-entry", message) from error
    return HardDrive(part, start // sector, size // sector, _partition_uuid(device))


def architecture() -> str:
    """The machine's architecture by the names of COSI: x86_64 or arm64."""
    return {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())


def hostname() -> str | None:
    """The machine's name, None where it has only a placeholder."""
    found = socket.gethostname()
    return None if found in _PLACEHOLDERS or not found else found


def os_release(root: Path = Path("/")) -> dict[str, str]:
    """`ID` and `VARIANT_ID` of the running system, as far as it says them."""
    found = {}
    for path in (root / "etc/os-release", root / "usr/lib/os-release"):
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines():
                key, equals, value = line.strip().partition("=")
                if equals and key in ("ID", "VARIANT_ID"):
                    found[key] = value.strip('"').strip("'")
            break
    return found


def kernel_command_line() -> str:
    """The running kernel's command line."""
    return Path("/proc/cmdline").read_text().strip()


def _below(number: str) -> set[str]:
    """The numbers of all devices that a device lies on."""
    found: set[str] = set()
    slaves = _SYS_BLOCKS / number / "slaves"
    for slave in slaves.iterdir() if number and slaves.is_dir() else ():
        lower = (slave / "dev").read_text().strip()
        found |= {lower, *_below(lower)}
    return found


def _partition_uuid(device: Path) -> UUID:
    number = device_number(device)
    try:
        links = sorted(BY_PARTUUID.iterdir())
    except OSError as error:
        hint = "is udev running?"
        raise HostError(f"it cannot be read: {error.strerror}", where=str(BY_PARTUUID), hint=hint) from error
    for link in links:
        if device_number(link) == number:
            try:
                return UUID(link.name)
            except ValueError:
                continue  # MBR disks have shorter names.
    message = f"{device}, which holds the ESP, has no UUID below {BY_PARTUUID}"
    raise ServicingError("create-boot-entry", message, hint="the disk needs a GPT")
