"""qemu-system-x86_64: the command line for a machine. Pure: values in, arguments out; `vm/machine.py` starts it.

Devices are few and named: nothing comes from QEMU's defaults. Disks, firmware and variables are given as JSON block
devices, so that no character in a path has a meaning. (qemu(1), docs/interop/qemu-qmp-ref `BlockdevOptions`.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Processor = Literal["max", "x86-64-v2"]
"""What the guest can do with an emulated processor: all that QEMU knows, or the second level of the x86-64 psABI, which
most distributions are content with. That one is faster: wide vector instructions take long to emulate."""

PROGRAM = "qemu-system-x86_64"


@dataclass(frozen=True)
class Disk:
    """A disk image in a file. `format` is QEMU's name: raw, qcow2, vhdx, vpc.

    `serial` (at most 20 characters) names the disk in the guest: /dev/disk/by-id/virtio-SERIAL. `write_log` is a file
    to which QEMU adds what the guest writes and flushes, in order (the driver `blklogwrites`).
    """

    path: Path
    format: str
    read_only: bool = False
    serial: str | None = None
    write_log: Path | None = None


@dataclass(frozen=True)
class Uefi:
    """UEFI firmware: its code, and the file that holds its variables (written to). `format` counts for both."""

    code: Path
    variables: Path
    format: str = "raw"
    secure_boot: bool = False


@dataclass(frozen=True)
class Hardware:
    """A machine. `uefi` None means SeaBIOS. `forwards` are pairs (port on our loopback, port in the guest).

    The network is QEMU's user network: the guest gets an address by DHCP and reaches our loopback as 10.0.2.2.
    """

    disks: tuple[Disk, ...]
    uefi: Uefi | None
    memory_mib: int = 2048
    cpus: int = 2
    accelerator: str = "tcg"
    processor: Processor = "max"
    network: bool = False
    forwards: tuple[tuple[int, int], ...] = ()
    reboots: bool = True
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Channels:
    """The numbers of two connected sockets that QEMU inherits: the serial console and the control channel (QMP)."""

    serial: int
    control: int


def argv(hardware: Hardware, channels: Channels | None) -> list[str]:
    """The command line. Without `channels` console and monitor share the terminal (Ctrl-A X quits, Ctrl-A H helps)."""
    return [
        PROGRAM,
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", _machine(hardware.uefi)),
        *_processor(hardware),
        *("-smp", str(hardware.cpus), "-m", f"{hardware.memory_mib}M"),
        *([] if hardware.reboots else ["-no-reboot"]),
        *(_flash(hardware.uefi) if hardware.uefi else ()),
        *(arg for number, disk in enumerate(hardware.disks) for arg in _disk(number, disk)),
        *("-device", "virtio-rng-pci"),
        *(_network(hardware.forwards) if hardware.network else ()),
        *_console(channels),
        *hardware.extra,
    ]


# Page tables of five levels cost a sixth of the time of a boot. Machines within the machine would be of no use, and
# guests take the trouble to prepare for them.
_EMULATED: dict[Processor, str] = {
    "max": "max,la57=off,svm=off",
    "x86-64-v2": "qemu64,svm=off,+ssse3,+sse4.1,+sse4.2,+popcnt,+lahf-lm",
}


def _processor(hardware: Hardware) -> tuple[str, ...]:
    if hardware.accelerator == "kvm":
        return ("-accel", "kvm", "-cpu", "max")
    return ("-accel", "tcg,thread=multi", "-cpu", _EMULATED[hardware.processor])


def _machine(uefi: Uefi | None) -> str:
    # graphics=off makes SeaBIOS speak on the serial port.
    parts = ["q35", "graphics=off"]
    if uefi:
        parts += ["pflash0=firmware", "pflash1=variables"]
    if uefi and uefi.secure_boot:
        parts.append("smm=on")
    return ",".join(parts)


def _flash(uefi: Uefi) -> Iterator[str]:
    yield from ("-blockdev", _blockdev("firmware", uefi.code, uefi.format, read_only=True))
    yield from ("-blockdev", _blockdev("variables", uefi.variables, uefi.format))
    # Firmware without these settings ignores them; with a network it would otherwise wait for a boot server.
    for protocol in ("IPv4", "IPv6"):
        yield from ("-fw_cfg", f"name=opt/org.tianocore/{protocol}PXESupport,string=n")
    if uefi.secure_boot:
        yield from ("-global", "driver=cfi.pflash01,property=secure,value=on")


def _disk(number: int, disk: Disk) -> Iterator[str]:
    name = f"disk{number}"
    log = disk.write_log
    below = f"{name}-content" if log else name
    yield from ("-blockdev", _blockdev(below, disk.path, disk.format, read_only=disk.read_only, lazy=True))
    if log:
        yield from ("-blockdev", _logging_blockdev(name, below, log))
    device = {"driver": "virtio-blk-pci", "id": f"virtio-{name}", "drive": name}
    yield from ("-device", json.dumps(device | ({"serial": disk.serial} if disk.serial else {})))


def _blockdev(name: str, path: Path, image_format: str, *, read_only: bool = False, lazy: bool = False) -> str:
    """`lazy`: never wait for the host's disk (the page cache is as safe as a trial machine needs), pass discards on."""
    node: dict[str, object] = {
        "driver": image_format,
        "node-name": name,
        "read-only": read_only,
        "file": {"driver": "file", "filename": str(path)},
    }
    if lazy:
        cache = {"direct": False, "no-flush": True}
        node |= {"cache": cache, "discard": "unmap"}
        node["file"] = {"driver": "file", "filename": str(path), "cache": cache, "discard": "unmap"}
    if image_format == "vpc":
        # Sized by the footer's current size, as the hypervisor and the cloud do, not by disk geometry.
        node["force_size_calc"] = "current_size"
    return json.dumps(node)


def _logging_blockdev(name: str, below: str, log: Path) -> str:
    """A device that passes everything on to the node `below` and writes it down. Zeros take no room in the log."""
    file = {"driver": "file", "filename": str(log), "discard": "unmap", "detect-zeroes": "unmap"}
    cache = {"direct": False, "no-flush": True}
    return json.dumps(
        {
            "driver": "blklogwrites",
            "node-name": name,
            "discard": "unmap",
            "file": below,
            "log": file | {"cache": cache},
        }
    )


def _network(forwards: tuple[tuple[int, int], ...]) -> Iterator[str]:
    ports = "".join(f",hostfwd=tcp:127.0.0.1:{ours}-:{theirs}" for ours, theirs in forwards)
    # An empty romfile: the card brings no boot code.
    yield from ("-netdev", f"user,id=network0{ports}", "-device", "virtio-net-pci,netdev=network0,romfile=")


def _console(channels: Channels | None) -> Iterator[str]:
    if channels:
        yield from ("-chardev", f"socket,id=console,fd={channels.serial}", "-serial", "chardev:console")
        yield from ("-chardev", f"socket,id=control,fd={channels.control}", "-mon", "chardev=control,mode=control")
    else:
        # signal=off: Ctrl-C belongs to the guest.
        yield from ("-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console")
        yield from ("-mon", "chardev=console,mode=readline")
