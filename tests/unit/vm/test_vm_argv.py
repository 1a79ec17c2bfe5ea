"""The command line for QEMU."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from twinroot.errors import InputError
from twinroot.tools.qemu_system import Channels, Disk, Hardware, Uefi, argv
from twinroot.vm.machine import accelerator

DISK = Disk(Path("/images/a,b=c.qcow2"), "qcow2")
BIOS = Hardware((DISK,), None)
UEFI = Hardware((DISK,), Uefi(Path("/code.fd"), Path("/vars.fd")))


def values(command: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == option]


def block_devices(command: list[str]) -> dict[str, dict[str, Any]]:
    return {node["node-name"]: node for node in map(json.loads, values(command, "-blockdev"))}


def test_paths_need_no_quoting() -> None:
    assert block_devices(argv(BIOS, None))["disk0"]["file"]["filename"] == "/images/a,b=c.qcow2"


def test_uefi_firmware_is_read_only_and_its_variables_are_not() -> None:
    command = argv(UEFI, None)
    nodes = block_devices(command)
    assert (nodes["firmware"]["read-only"], nodes["variables"]["read-only"]) == (True, False)
    assert "pflash0=firmware,pflash1=variables" in values(command, "-machine")[0]
    assert "pflash" not in values(argv(BIOS, None), "-machine")[0]


def test_secure_boot_protects_the_variables() -> None:
    assert UEFI.uefi is not None
    command = argv(replace(UEFI, uefi=replace(UEFI.uefi, secure_boot=True)), None)
    assert "smm=on" in values(command, "-machine")[0]
    assert values(command, "-global") == ["driver=cfi.pflash01,property=secure,value=on"]


def test_every_disk_is_attached_in_order() -> None:
    second = Disk(Path("/second.vhd"), "vpc", read_only=True, serial="data")
    command = argv(replace(BIOS, disks=(DISK, second)), None)
    devices = [json.loads(value) for value in values(command, "-device") if value.startswith("{")]
    assert [(device["drive"], device.get("serial")) for device in devices] == [("disk0", None), ("disk1", "data")]
    node = block_devices(command)["disk1"]
    assert (node["driver"], node["read-only"], node["force_size_calc"]) == ("vpc", True, "current_size")


def test_a_log_of_writes_lies_between_the_machine_and_its_disk() -> None:
    logged = replace(DISK, write_log=Path("/log,1"))
    nodes = block_devices(argv(replace(BIOS, disks=(logged,)), None))
    top = nodes["disk0"]
    assert (top["driver"], top["log"]["filename"], top["file"]) == ("blklogwrites", "/log,1", "disk0-content")
    assert nodes["disk0-content"]["driver"] == "qcow2"


@pytest.mark.parametrize(("wanted", "shown"), [("tcg", "tcg,thread=multi"), ("kvm", "kvm")])
def test_accelerators(wanted: str, shown: str) -> None:
    assert values(argv(replace(BIOS, accelerator=wanted), None), "-accel") == [shown]


def test_the_network_is_there_when_asked_for() -> None:
    assert not values(argv(BIOS, None), "-netdev")
    command = argv(replace(BIOS, network=True, forwards=((2222, 22),)), None)
    assert values(command, "-netdev") == ["user,id=network0,hostfwd=tcp:127.0.0.1:2222-:22"]


def test_console_on_sockets_or_on_the_terminal() -> None:
    assert values(argv(BIOS, Channels(7, 8)), "-chardev") == ["socket,id=console,fd=7", "socket,id=control,fd=8"]
    assert values(argv(BIOS, None), "-chardev") == ["stdio,id=console,mux=on,signal=off"]


def test_no_reboot_and_more_arguments() -> None:
    command = argv(replace(BIOS, reboots=False, extra=("-device", "i6300esb")), None)
    assert "-no-reboot" in command
    assert command[-2:] == ["-device", "i6300esb"]
    assert "-no-reboot" not in argv(BIOS, None)


def test_the_accelerator_comes_from_the_environment() -> None:
    assert accelerator({}) == "tcg"
    assert accelerator({"TWINROOT_ACCEL": "kvm"}) == "kvm"
    with pytest.raises(InputError, match="use tcg or kvm"):
        accelerator({"TWINROOT_ACCEL": "warp"})
