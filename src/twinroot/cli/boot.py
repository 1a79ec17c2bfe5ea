"""`twinroot boot`: start an image in QEMU, for a person at the console or for a script that waits for a text."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from twinroot.cli.arguments import add_global_flags
from twinroot.cli.frame import run_command
from twinroot.events import Emit

DEFAULT_TIMEOUT = 600.0
SMALLEST_MEMORY = 64


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `boot`."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a COSI file or a disk image; it is not changed")
    parser.add_argument("--until", metavar="TEXT", help="end well as soon as the serial console shows this text")
    parser.add_argument(
        "--timeout", type=seconds_of, default=DEFAULT_TIMEOUT, metavar="S",
        help=f"with --until: give up after this many seconds (default: {DEFAULT_TIMEOUT:.0f})",
    )  # fmt: skip
    parser.add_argument("--memory", type=mebibytes, default=2048, metavar="MIB", help="memory in MiB (default: 2048)")
    parser.add_argument("--network", action="store_true", help="give the machine a network card with access outside")
    add_global_flags(parser, top=False)


def seconds_of(text: str) -> float:
    """The value of `--timeout`."""
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds above 0")
    return seconds


def mebibytes(text: str) -> int:
    """The value of `--memory`."""
    memory = int(text)
    if memory < SMALLEST_MEMORY:
        raise argparse.ArgumentTypeError(f"'{text}': a machine needs at least {SMALLEST_MEMORY} MiB")
    return memory


def run(arguments: argparse.Namespace) -> int:
    """Boot; the exit code."""
    return run_command(arguments, "the image did not boot", lambda emit: _boot(arguments, emit))


def _boot(arguments: argparse.Namespace, emit: Emit) -> None:
    from twinroot.output.bootable import bootable_disk
    from twinroot.output.scratch import large_scratch
    from twinroot.vm.boot import boot_interactive, boot_until
    from twinroot.vm.machine import Options

    options = Options(memory_mib=arguments.memory, network=arguments.network)
    with large_scratch() as scratch:
        disk = bootable_disk(arguments.image, scratch, emit)
        if arguments.until is None:
            boot_interactive(disk.path, disk.qemu_format, options=options)
            return
        boot_until(
            disk.path, disk.qemu_format, arguments.until, arguments.timeout,
            on_line=lambda line: print(line, file=sys.stderr), options=options,
        )  # fmt: skip
