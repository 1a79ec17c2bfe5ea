"""A virtual machine that boots a disk image in QEMU, with its console and its switches.

    with Machine(Path("disk.raw"), "raw") as machine:
        machine.console.login()
        machine.console.check("systemctl is-system-running --wait")

By default the image is never changed: writes go to a throw-away overlay that lives as long as the Machine object. They
survive `reset`, and those that were flushed `power_cut` and `start`, as do the firmware's variables. QEMU ends with us
on every way out.

Machines are emulated in software (TCG), which works everywhere; TWINROOT_ACCEL=kvm asks for hardware virtualisation.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from twinroot.errors import InputError, MachineError
from twinroot.scratch import locked_folder
from twinroot.tools import qemu_img, qemu_system
from twinroot.tools.qemu_system import Channels, Disk, Hardware, Processor, Uefi
from twinroot.tools.run import start, stop
from twinroot.vm import firmware
from twinroot.vm.console import Console
from twinroot.vm.control import Control

FirmwareKind = Literal["uefi", "uefi-secure", "bios"]
ACCELERATOR_VARIABLE = "TWINROOT_ACCEL"


@dataclass(frozen=True)
class Options:
    """What a machine is like besides its first disk.

    `efi_variables` is a file that keeps the firmware's variables between machines (made from the template when it does
    not exist). `persistent` writes into the disk images themselves. `forwards`: pairs (port on our loopback, port in
    the guest), with `network`. `reboots` False: QEMU ends when the guest reboots. `write_log`: a new file for what is
    written to the first disk, from which it can be told what a power cut leaves. `processor` counts where machines are
    emulated. `extra`: more QEMU arguments.
    """

    memory_mib: int = 2048
    cpus: int = 2
    processor: Processor = "max"
    firmware: FirmwareKind = "uefi"
    efi_variables: Path | None = None
    extra_disks: tuple[Disk, ...] = ()
    persistent: bool = False
    network: bool = False
    forwards: tuple[tuple[int, int], ...] = ()
    reboots: bool = True
    write_log: Path | None = None
    extra: tuple[str, ...] = ()


def accelerator(environment: Mapping[str, str]) -> str:
    """The accelerator the environment asks for: "tcg" (default) or "kvm"."""
    wanted = environment.get(ACCELERATOR_VARIABLE, "tcg")
    if wanted not in ("tcg", "kvm"):
        raise InputError(f"'{wanted}' is not an accelerator", where=ACCELERATOR_VARIABLE, hint="use tcg or kvm")
    return wanted


def work_folder() -> AbstractContextManager[Path]:
    """A folder for what a machine writes; where this process is killed, the next machine's removes it."""
    return locked_folder("twinroot-vm-", Path(tempfile.gettempdir()))


def prepare(image: Path, image_format: str, options: Options, work: Path) -> Hardware:
    """Make what a machine needs in `work` (overlays, variables) and describe the machine."""
    disks = [Disk(image, image_format, write_log=options.write_log), *options.extra_disks]
    for disk in disks:
        if not disk.path.exists():
            raise InputError("there is no such disk image", where=str(disk.path))
    if options.write_log:
        options.write_log.write_bytes(b"")
    if not options.persistent:
        disks = [_overlay(disk, work / f"disk{number}.qcow2") for number, disk in enumerate(disks)]
    return Hardware(
        disks=tuple(disks),
        uefi=None if options.firmware == "bios" else _uefi(options, work),
        memory_mib=options.memory_mib,
        cpus=options.cpus,
        accelerator=accelerator(os.environ),
        processor=options.processor,
        network=options.network,
        forwards=options.forwards,
        reboots=options.reboots,
        extra=options.extra,
    )


def _overlay(disk: Disk, target: Path) -> Disk:
    if disk.read_only:
        return disk
    qemu_img.create_overlay(disk.path, target, base_format=disk.format)
    return replace(disk, path=target, format="qcow2")


def _uefi(options: Options, work: Path) -> Uefi:
    found = firmware.locate(secure_boot=options.firmware == "uefi-secure")
    variables = options.efi_variables or work / "variables.fd"
    if not variables.exists():
        # Not copy2: the template is often read-only.
        shutil.copyfile(found.variables, variables)
    return Uefi(found.code, variables, found.format, found.secure_boot)


class Machine:
    """A machine that runs while the `with` block does. `log_file` collects everything its console shows.

    Raises InputError for a missing image, HostError for missing programs or firmware, MachineError for what goes wrong
    once it runs. Start it from a thread that lives as long as it should: QEMU is killed when that thread ends.
    """

    def __init__(
        self, image: Path, image_format: str, options: Options | None = None, *, log_file: Path | None = None
    ) -> None:
        self._image, self._format = image, image_format
        self._options = options or Options()
        self._log_file = log_file
        self._exit = ExitStack()
        self._hardware: Hardware | None = None
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            work = undo.enter_context(work_folder())
            self._hardware = prepare(self._image, self._format, self._options, work)
            undo.callback(self._end)
            self.start()
            self._exit = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._exit.close()

    @property
    def console(self) -> Console:
        """The console since the last `start`; readable after the end, too."""
        return self._state.console

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._state.process.pid

    @property
    def running(self) -> bool:
        """Whether QEMU runs."""
        return self._state.process.poll() is None

    def start(self) -> None:
        """Switch the machine on (again), with the disks and variables as the last run left them."""
        assert self._hardware is not None, "a Machine starts in a with block"
        self._end()
        self._running = _launch(self._hardware, self._log_file)

    def reset(self) -> None:
        """Press the reset button."""
        self._state.control.execute("system_reset")

    def press_power(self) -> None:
        """Press the power button; a guest that listens to ACPI shuts down."""
        self._state.control.execute("system_powerdown")

    def power_cut(self) -> None:
        """Pull the plug: the guest gets no chance to do anything. What it wrote to its disks until now stays."""
        self._state.process.kill()
        self._state.process.wait()

    def wait_off(self, timeout: float) -> None:
        """Wait until the guest has switched the machine off. MachineError after `timeout` seconds or if QEMU failed."""
        state = self._state
        try:
            code = state.process.wait(timeout)
        except subprocess.TimeoutExpired:
            message = f"the machine is still on after {timeout:.0f} s; the console ends with:"
            raise MachineError(message, state.console.text) from None
        if code != 0:
            raise MachineError(f"{state.ended()}; the console ends with:", state.console.text)

    @property
    def _state(self) -> _Running:
        assert self._running is not None, "a Machine runs in a with block"
        return self._running

    def _end(self) -> None:
        if self._running:
            self._running.close()


@dataclass(frozen=True)
class _Running:
    """One run of QEMU, and everything to close after it."""

    process: subprocess.Popen[bytes]
    console: Console
    control: Control
    errors: IO[bytes]

    def ended(self) -> str:
        return _describe_end(self.process, self.errors)

    def close(self) -> None:
        # QEMU first: the others then come to their end by themselves.
        if self.process.poll() is None:
            stop(self.process)
        self.console.close()
        self.control.close()
        self.errors.close()


def _launch(hardware: Hardware, log_file: Path | None) -> _Running:
    with ExitStack() as undo:
        errors = undo.enter_context(tempfile.TemporaryFile())
        console, their_console = _connection(undo)
        control, their_control = _connection(undo)
        with their_console, their_control:
            fds = (their_console.fileno(), their_control.fileno())
            process = start(qemu_system.argv(hardware, Channels(*fds)), stderr=errors, pass_fds=fds)
        undo.callback(stop, process)
        running = _Running(
            process,
            Console(console.detach(), log_file=log_file, ended=lambda: _describe_end(process, errors)),
            Control(control),
            errors,
        )
        undo.pop_all()
    return running


def _connection(undo: ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    return undo.enter_context(ours), undo.enter_context(theirs)


def _describe_end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    """How QEMU ended. Its console closes a moment before it is gone."""
    try:
        code = process.wait(10.0)
    except subprocess.TimeoutExpired:
        return "QEMU closed the console"
    if errors.closed:
        return "the machine was closed"
    errors.seek(0)
    said = errors.read().decode("utf-8", "replace").strip()
    if code == 0:
        return f"the machine switched itself off{f' ({said})' if said else ''}"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"QEMU {how}{f': {said}' if said else ''}"
