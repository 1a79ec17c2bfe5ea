"""`trident daemon`: the agent as a service that programs ask by gRPC (servicing spec, section 17). Hidden.

The libraries for that are imported when it runs, and by no other command.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twinroot.cli.frame import run_command
from twinroot.cli.servicing import FAILED, restart
from twinroot.errors import InputError
from twinroot.events import Emit

log = logging.getLogger("twinroot.cli")

SOCKET = Path("/run/trident/trident.sock")
BAD_CONFIGURATION = 4
"""The exit code when the agent's own configuration cannot be read; only the daemon has it (section 1.1)."""


def add(commands: Any, add_global_flags: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to those of `trident`."""
    text = (
        "Answer requests by gRPC on a Unix socket: that of systemd, which tridentd.socket makes, or one of its own. "
        "One operation at a time. Ends when nobody was connected and nothing ran for a while."
    )
    command = commands.add_parser("daemon", description=text)
    command.add_argument(
        "--inactivity-timeout", type=_seconds, default="300s", metavar="DURATION",
        help="how long to stay when there is nothing to do, such as 300s, 5m or 1h (default: 300s)",
    )  # fmt: skip
    command.add_argument(
        "--socket-path", type=Path, default=SOCKET, metavar="PATH", help=f"where to listen (default: {SOCKET})"
    )
    add_global_flags(command)
    command.set_defaults(run=_run)


def _seconds(text: str) -> float:
    from twinroot.agent.remote.durations import seconds

    try:
        return seconds(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def _run(arguments: argparse.Namespace) -> int:
    restarting, unreadable = False, True

    def work(_emit: Emit) -> None:
        nonlocal restarting, unreadable
        from twinroot.agent.agent_config import read_datastore_path

        read_datastore_path()
        unreadable = False
        restarting = _serve(arguments)

    code = run_command(arguments, "the daemon cannot serve", work, failed=FAILED)
    if code:
        return BAD_CONFIGURATION if unreadable else code
    return restart() if restarting else 0


def _serve(arguments: argparse.Namespace) -> bool:
    """Serve to the end; whether the machine is to be restarted then."""
    import asyncio

    from twinroot.agent.errors import ServicingError
    from twinroot.agent.remote.listening import listening
    from twinroot.agent.remote.operation import remove_left_over, this_program
    from twinroot.agent.remote.server import ENDING, Daemon

    if os.geteuid() != 0:
        raise ServicingError("check-root-privileges", "this needs root", hint="run it with sudo")

    async def serve() -> bool:
        with listening(arguments.socket_path, os.environ) as socket:
            log.info("Listening on %s", socket.getsockname())
            remove_left_over()
            daemon = Daemon(this_program(), arguments.inactivity_timeout)
            await daemon.serve(socket)
            return daemon.restart

    handlers = {number: signal.getsignal(number) for number in ENDING}
    try:
        return asyncio.run(serve())
    finally:
        # The loop leaves those of Python behind, and a restart is waited for.
        for number, handler in handlers.items():
            signal.signal(number, handler)
