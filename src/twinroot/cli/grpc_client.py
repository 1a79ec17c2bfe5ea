"""`trident grpc-client`: have the daemon do what other commands do themselves (servicing spec, section 17.4). Hidden.

The libraries for that are imported when it runs, and by no other command.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinroot.cli.arguments import Parser
from twinroot.cli.frame import Show, run_command
from twinroot.cli.servicing import FAILED, add_operations, restart
from twinroot.cli.stream_disk import add_image, image_url
from twinroot.errors import HostError, InputError, UsageError
from twinroot.events import Emit

if TYPE_CHECKING:
    from twinroot.agent.remote.client import Request

log = logging.getLogger("twinroot.cli")

SERVER = "unix:///run/trident/trident.sock"
NO_SERVER = 1
"""The exit code when there is no daemon to ask (section 1.1)."""

_SCHEME = "unix://"
_REFUSED = {
    "install": "trident install",
    "listen": "update and commit, which print the log",
    "rebuild-raid": "nothing: it is not built",
    "start-network": "trident start-network",
    "get": "trident get",
    "validate": "trident validate",
    "rollback": "trident rollback",
}
"""What the peer's client has and ours has not, with what to use instead."""


def add(commands: Any, add_global_flags: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to those of `trident`."""
    client = commands.add_parser("grpc-client", description="Ask the agent's daemon.")
    _add_server(client, default=SERVER)
    add_global_flags(client)
    below = client.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    version = below.add_parser("version", help="print its version", description="Print the version of the daemon.")
    version.set_defaults(run=_version)
    text = "Have the daemon bring this machine to a host configuration, and print what it logs."
    update = below.add_parser("update", help="have it update this machine", description=text)
    update.add_argument("config", type=Path, metavar="CONFIG", help="the host configuration")
    add_operations(update)
    update.set_defaults(run=_update)
    text = "Have the daemon do what `trident commit` does."
    commit = below.add_parser("commit", help="have it keep the system that runs", description=text)
    commit.set_defaults(run=_commit)
    text = "Have the daemon do what `trident stream-disk` does."
    stream = below.add_parser(
        "stream-disk", aliases=["stream-image"], help="have it write an image onto a whole disk", description=text
    )
    add_image(stream)
    stream.set_defaults(run=_stream)
    for command in (version, update, commit, stream):
        _add_server(command, default=argparse.SUPPRESS)
        add_global_flags(command)
    for name in _REFUSED:
        # Without a description it is in no reference. Nothing is a flag to it: whatever follows, the name is refused.
        refused = below.add_parser(name, add_help=False, prefix_chars="\0")
        refused.add_argument("rest", nargs="*")
        refused.set_defaults(run=_refuse, refused=name)


def _add_server(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Before and after the name of the command, where it has no default, so as not to hide what stood before."""
    text = f"where the daemon listens (default: {SERVER})"
    parser.add_argument("-s", "--server", default=default, metavar="ADDRESS", help=text)


def _refuse(arguments: argparse.Namespace) -> int:
    def work(_emit: Emit) -> None:
        name = arguments.refused
        raise UsageError(f"the daemon does nothing by the name of '{name}'", hint=f"use {_REFUSED[name]}")

    return run_command(arguments, "unimplemented command", work, failed=FAILED)


def _version(arguments: argparse.Namespace) -> int:
    def work(_emit: Emit) -> Show:
        from twinroot.agent.remote.client import version

        found = version(_path(arguments.server))
        return lambda: print(found)

    return _run(arguments, "the daemon does not say its version", work)


def _update(arguments: argparse.Namespace) -> int:
    def request() -> Request | None:
        from twinroot.agent.remote.client import update_request

        allowed = arguments.allowed_operations
        text = _text(arguments.config) if "stage" in allowed else ""
        return update_request(text, stage="stage" in allowed, finalize="finalize" in allowed)

    return _service(arguments, "the machine was not updated", request)


def _commit(arguments: argparse.Namespace) -> int:
    def request() -> Request:
        from twinroot.agent.remote.client import commit_request

        return commit_request()

    return _service(arguments, "the system that runs was not committed", request)


def _stream(arguments: argparse.Namespace) -> int:
    def request() -> Request:
        from twinroot.agent.remote.client import stream_request

        return stream_request(image_url(arguments.image), arguments.hash)

    return _service(arguments, "the image was not written", request)


def _service(arguments: argparse.Namespace, failure: str, request: Callable[[], Request | None]) -> int:
    """Have something done. A machine may have to start anew also after a failure."""
    due = started = False

    def work(_emit: Emit) -> None:
        nonlocal due, started
        from twinroot.agent.remote.client import check, reboot_started, reboot_wanted, service

        asked = request()
        if asked is None:
            log.warning("There is nothing to do that --allowed-operations allows")
            return
        done = service(_path(arguments.server), asked)
        due, started = reboot_wanted(done), reboot_started(done)
        check(done)

    code = _run(arguments, failure, work)
    return restart(asked=started) if due or started else code


def _run(arguments: argparse.Namespace, failure: str, work: Callable[[Emit], Show | None]) -> int:
    def reach(_emit: Emit) -> None:
        import socket

        path = _path(arguments.server)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
                server.connect(str(path))
        except OSError as error:
            hint = "start it: systemctl start tridentd.socket"
            raise HostError(f"no daemon answers: {error.strerror or error}", where=str(path), hint=hint) from error

    code = run_command(arguments, failure, reach, failed=NO_SERVER)
    return code or run_command(arguments, failure, work, failed=FAILED)


def _path(address: str) -> Path:
    """The path of the socket; InputError for other kinds of addresses."""
    path = address.removeprefix(_SCHEME)
    if not address.startswith(_SCHEME) or not path.startswith("/"):
        raise InputError(f"'{address}' is no address of a daemon", hint=f"write it as {SERVER}")
    return Path(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("it is no text in UTF-8", where=str(path)) from error
