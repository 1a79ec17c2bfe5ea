"""Which command a request asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.errors import InputError

CONFIG_NAME, REPORT_NAME = "config.yaml", "report.json"
_OF_SYSTEMD = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


class Restart(Enum):
    """Who restarts the machine where that is due."""

    AGENT = auto()
    CALLER = auto()
    NEVER = auto()
    """It cannot be due after this."""


_HANDLING = {
    v1.REBOOT_HANDLING_UNSPECIFIED: Restart.AGENT,
    v1.TRIDENT_HANDLES_REBOOT: Restart.AGENT,
    v1.CALLER_HANDLES_REBOOT: Restart.CALLER,
}


@dataclass(frozen=True)
class Order:
    """A command to run: `update` with the operations that are allowed and a configuration, `commit`, or `stream-disk`.

    Without a configuration, what is staged already is meant. `image`, a URL, and `image_hash` are those of a disk.
    """

    command: str
    restart: Restart
    operations: str = ""
    config: str | None = None
    image: str = ""
    image_hash: str = ""


def of_update(request: v1.UpdateRequest) -> Order:
    """Stage and finalize; InputError without a configuration."""
    return Order("update", _restart(request.finalize.reboot), "stage,finalize", _config(request.stage))


def of_stage(request: v1.StageUpdateRequest) -> Order:
    """Stage only; InputError without a configuration."""
    return Order("update", Restart.NEVER, "stage", _config(request))


def of_finalize(request: v1.FinalizeUpdateRequest) -> Order:
    """Finalize what is staged."""
    return Order("update", _restart(request.reboot), "finalize")


def of_commit(request: v1.CommitRequest) -> Order:
    """Keep the system that runs."""
    return Order("commit", _restart(request.reboot))


def of_stream(request: v1.StreamDiskRequest) -> Order:
    """Write an image onto a whole disk; InputError without one."""
    if not request.image_url.isprintable() or not request.image_url.strip():
        raise InputError("the request has no URL of an image")
    image_hash = request.image_hash if request.HasField("image_hash") else "ignored"
    return Order("stream-disk", _restart(request.reboot), image=request.image_url, image_hash=image_hash)


def _config(stage: v1.StageUpdateRequest) -> str:
    if not stage.HasField("config"):
        raise InputError("the request has no configuration")
    return stage.config.config


def _restart(reboot: v1.RebootManagement) -> Restart:
    """Whoever asks for something that we do not know must not have the machine restarted for it."""
    found = _HANDLING.get(reboot.handling)
    if found is None:
        raise InputError(f"{int(reboot.handling)} is no way to handle a restart that this version knows")
    return found


def command_line(order: Order, folder: Path) -> list[str]:
    """The arguments of `trident` for an order, whose files are in a private folder.

    To finalize what is staged is to name a configuration that is not there. The URL of an image comes on
    standard input, as it may hold secrets.
    """
    words = ["-v", "trace", order.command]
    if order.command == "update":
        words += [str(folder / CONFIG_NAME), "--allowed-operations", order.operations]
    if order.image:
        words += ["-", f"--hash={order.image_hash}"]
    return [*words, "--on-behalf", str(folder / REPORT_NAME)]


def entry_point(executable: str, original: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """How this program was started, without its arguments, to start it again.

    `original` is the whole command line, with the interpreter and its flags, `arguments` the program and its arguments
    as it sees them itself.
    """
    return [executable, *original[1 : len(original) - len(arguments) + 1]]


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a command inherits: proxies and all else, but not what systemd told the service alone."""
    return {name: value for name, value in environment.items() if name not in _OF_SYSTEMD}
