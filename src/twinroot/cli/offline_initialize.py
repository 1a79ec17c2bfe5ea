"""`trident offline-initialize`: a status for a machine that was made from an image (servicing spec, section 14)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twinroot.cli.frame import run_command
from twinroot.errors import InputError

_FAILED = 2


def add(commands: Any, add_global_flags: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to those of `trident`."""
    command = commands.add_parser(
        "offline-initialize",
        help="make a machine known to the agent that was started from an image",
        description="Write the status of a machine that was started from an image, and not installed by the agent: "
        "provisioned, volume A active. What it has is read from the image's history and its disk. A machine that has a "
        "status keeps it.",
    )
    command.add_argument(
        "hs_path", type=Path, nargs="?", metavar="HS_PATH",
        help="deprecated: a complete status as YAML, in place of the flags",
    )  # fmt: skip
    command.add_argument(
        "--lazy-partitions",
        metavar="NAME-b:UUID,…",
        help="volumes B that are made later, with the UUIDs they will have",
    )
    command.add_argument("--disk", type=Path, metavar="DISK", help="the disk that the root is on (default: /dev/sda)")
    command.add_argument(
        "--history-path", type=Path, metavar="FILE",
        help="the image's history (default: /usr/share/image-customizer/history.json)",
    )  # fmt: skip
    add_global_flags(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return run_command(
        arguments, "the machine cannot be initialized", lambda _emit: _initialize(arguments), failed=_FAILED
    )


def _initialize(arguments: argparse.Namespace) -> None:
    from twinroot.agent import offline_run
    from twinroot.agent.agent_config import read_datastore_path
    from twinroot.agent.offline import parse_lazy

    flags = (arguments.lazy_partitions, arguments.disk, arguments.history_path)
    if arguments.hs_path is not None:
        if any(flag is not None for flag in flags):
            raise InputError("a status as argument and flags exclude each other", hint="use the flags alone")
        offline_run.inject(read_datastore_path(), arguments.hs_path)
        return
    lazy = parse_lazy(arguments.lazy_partitions) if arguments.lazy_partitions is not None else {}
    history = arguments.history_path or offline_run.HISTORY
    offline_run.initialize(read_datastore_path(), history, arguments.disk or offline_run.DEFAULT_DISK, lazy)
