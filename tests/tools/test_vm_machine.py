"""Machines in QEMU: firmware, disks, switches, and that none is left behind.

Most of them boot a sector of our own in the BIOS: it counts its starts on its disk and says the number on the serial
port, which takes a second and needs no operating system.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from twinroot.errors import InputError, MachineError
from twinroot.tools import qemu_img
from twinroot.tools.qemu_system import Disk
from twinroot.tools.run import start, stop
from twinroot.vm.boot import boot_until
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine, Options

BIOS = Options(firmware="bios", memory_mib=64, cpus=1)
# Generous: emulation on a busy host.
PATIENCE = 120.0

_MESSAGE = 0x29
_COUNTER = _MESSAGE + len("boot number ")
SECTOR = (
    bytes.fromhex("31c0 8ed8 8ec0")  # the data segments are 0
    + bytes.fromhex("fe06") + (0x7C00 + _COUNTER).to_bytes(2, "little")  # increment the digit of the message
    + bytes.fromhex("b80103 b90100 b600 bb007c cd13")  # BIOS: write this sector back to the disk in DL
    + b"\xfa"  # without interrupts, in which SeaBIOS would print the rest of its own messages into ours,
    + b"\xbe" + (0x7C00 + _MESSAGE).to_bytes(2, "little")  # from the start of the message,
    + bytes.fromhex("ac 84c0 7406 baf803 ee ebf5")  # put each character on the serial port until the 0,
    + bytes.fromhex("f4 ebfd")  # and halt for good
    + b"boot number 0\r\n\0"
).ljust(510, b"\0") + b"\x55\xaa"  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk image, raw.img"
    path.write_bytes(SECTOR.ljust(1 << 20, b"\0"))
    return path


def gone(pid: int) -> bool:
    """Whether a process ends within the time one waits for anything here."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_writes_survive_a_reset_but_not_the_machine(image: Path) -> None:
    for _ in range(2):
        with Machine(image, "raw", BIOS) as machine:
            machine.console.wait_for("boot number 1", PATIENCE)
            machine.reset()
            machine.console.wait_for("boot number 2", PATIENCE)
            machine.power_cut()
            assert not machine.running
            machine.start()
            machine.console.wait_for("boot number", PATIENCE)  # which one is up to QEMU: nothing was flushed
    assert image.read_bytes()[:512] == SECTOR


def test_a_persistent_machine_writes_to_the_image(image: Path) -> None:
    for number in (1, 2):
        with Machine(image, "raw", Options(firmware="bios", memory_mib=64, persistent=True)) as machine:
            machine.console.wait_for(f"boot number {number}", PATIENCE)
    assert image.read_bytes()[_COUNTER : _COUNTER + 1] == b"2"


@pytest.mark.parametrize("image_format", ["qcow2", "vhdx", "vpc"])
def test_other_formats_boot(image: Path, tmp_path: Path, image_format: str) -> None:
    converted = tmp_path / f"disk.{image_format}"
    qemu_img.convert(image, converted, source_format="raw", target_format=image_format)
    before = converted.read_bytes()
    lines: list[str] = []
    boot_until(converted, image_format, "boot number 1", PATIENCE, on_line=lines.append, options=BIOS)
    assert lines[-1].endswith("boot number 1")
    assert converted.read_bytes() == before


def test_extra_disks_are_attached(image: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.img"
    second.write_bytes(b"\0" * (1 << 20))
    options = Options(
        firmware="bios",
        memory_mib=64,
        extra_disks=(Disk(second, "raw", serial="second"), Disk(second, "raw", read_only=True)),
        network=True,
    )
    with Machine(image, "raw", options) as machine:
        machine.console.wait_for("boot number 1", PATIENCE)
        opened = [os.readlink(link) for link in Path(f"/proc/{machine.pid}/fd").iterdir()]  # noqa: PTH115 - sockets too
    assert opened.count(str(second)) == 2


def test_switching_off(image: Path) -> None:
    with Machine(image, "raw", BIOS) as machine:
        machine.console.wait_for("boot number 1", PATIENCE)
        # The sector does not listen to the power button.
        machine.press_power()
        with pytest.raises(MachineError, match="still on"):
            machine.wait_off(0.2)
        machine.power_cut()
        with pytest.raises(MachineError, match="killed by signal 9"):
            machine.wait_off(PATIENCE)
        with pytest.raises(MachineError, match=r"control channel|does not take"):
            machine.reset()


def test_qemu_that_does_not_start_says_why(image: Path) -> None:
    options = Options(firmware="bios", extra=("-device", "no-such-device"))
    with (
        pytest.raises(MachineError, match=r"QEMU ended with exit code 1: .*no-such-device"),
        Machine(image, "raw", options) as machine,
    ):
        machine.console.wait_for("boot number", PATIENCE)


def test_a_missing_image_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such disk image"), Machine(tmp_path / "none.img", "raw"):
        pass


@pytest.mark.parametrize(
    ("firmware", "meaning"),
    [("bios", "the BIOS found nothing to boot"), ("uefi", "the firmware found nothing to boot")],
)
def test_an_empty_disk_is_reported_at_once(tmp_path: Path, firmware: str, meaning: str) -> None:
    empty = tmp_path / "empty.img"
    empty.write_bytes(b"\0" * (1 << 20))
    variables = tmp_path / "variables.fd"
    options = Options(firmware="uefi" if firmware == "uefi" else "bios", memory_mib=256, efi_variables=variables)
    with pytest.raises(MachineError, match=meaning) as error:
        boot_until(empty, "raw", "login:", 10 * PATIENCE, on_line=lambda _line: None, options=options)
    assert error.value.hint
    assert variables.exists() == (firmware == "uefi")


def test_no_machine_is_left_after_an_exception(image: Path) -> None:
    pid = 0
    with pytest.raises(KeyError), Machine(image, "raw", BIOS) as machine:
        pid = machine.pid
        raise KeyError("of the test")
    assert gone(pid)


def test_no_machine_is_left_when_its_owner_is_killed(image: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from twinroot.vm.machine import Machine, Options\n"
        "with Machine(Path(sys.argv[1]), 'raw', Options(firmware='bios', memory_mib=64)) as machine:\n"
        "    machine.console.wait_for('boot number 1', 120)\n"
        "    print('running', machine.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with (tmp_path / "errors").open("wb") as errors:
        read, write = os.pipe()
        # Its working directory goes where pytest cleans up: a killed process cannot.
        command = ["env", f"TMPDIR={tmp_path}", sys.executable, "-c", script, str(image)]
        owner = start(command, stdout=write, stderr=errors)
        os.close(write)
    try:
        with os.fdopen(read) as output:
            said = output.readline().split()
        assert said[:1] == ["running"], (tmp_path / "errors").read_text()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert gone(int(said[1]))
    finally:
        stop(owner)


def test_booting_for_a_person(image: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from twinroot.vm.boot import boot_interactive\n"
        "from twinroot.vm.machine import Options\n"
        "boot_interactive(Path(sys.argv[1]), 'raw', options=Options(firmware='bios', memory_mib=64))\n"
        "print('back again', sys.stdin.isatty())\n"
    )
    ours, theirs = os.openpty()
    process = start([sys.executable, "-c", script, image], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        with Console(ours) as terminal:
            terminal.wait_for("boot number 1", PATIENCE)
            terminal.send("\x01x")
            terminal.wait_for("back again True", PATIENCE)
        assert process.wait(PATIENCE) == 0
    finally:
        stop(process)
