"""Calls of the daemon, for `trident grpc-client`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.errors import HostError, NetworkError, TwinrootError

log = logging.getLogger("twinroot.remote")

T = TypeVar("T")
_LEVELS = {
    v1.LOG_LEVEL_ERROR: logging.ERROR,
    v1.LOG_LEVEL_WARN: logging.WARNING,
    v1.LOG_LEVEL_INFO: logging.INFO,
}
_OURS = v1.RebootManagement(handling=v1.TRIDENT_HANDLES_REBOOT)


@dataclass(frozen=True)
class Request:
    """A message for a method that streams its answer."""

    method: str
    message: Any


def update_request(config: str, *, stage: bool, finalize: bool) -> Request | None:
    """What to ask for to have an update staged, finalized or both; None for neither."""
    staging = v1.StageUpdateRequest(config=v1.HostConfiguration(config=config))
    finalizing = v1.FinalizeUpdateRequest(reboot=_OURS)
    if stage and finalize:
        return Request("UpdateService/Update", v1.UpdateRequest(stage=staging, finalize=finalizing))
    if stage:
        return Request("UpdateService/UpdateStage", staging)
    return Request("UpdateService/UpdateFinalize", finalizing) if finalize else None


def commit_request() -> Request:
    """What to ask for to have the system that runs kept."""
    return Request("CommitService/Commit", v1.CommitRequest(reboot=_OURS))


def stream_request(url: str, image_hash: str) -> Request:
    """What to ask for to have an image written onto a whole disk."""
    message = v1.StreamDiskRequest(image_url=url, image_hash=image_hash, reboot=_OURS)
    return Request("StreamingService/StreamDisk", message)


def version(path: Path) -> str:
    """The version of the daemon behind a socket; TwinrootError when it does not say it."""

    async def ask(channel: Channel) -> str:
        method = UnaryUnaryMethod(channel, "/trident.v1.VersionService/Version", v1.VersionRequest, v1.VersionResponse)
        return str((await method(v1.VersionRequest())).version)

    return _call(path, ask)


def service(path: Path, request: Request) -> v1.Completed:
    """Have something done, and log what the daemon logs meanwhile; TwinrootError when it does not say how it ended."""

    async def ask(channel: Channel) -> v1.Completed:
        kind = type(request.message)
        method = UnaryStreamMethod(channel, f"/trident.v1.{request.method}", kind, v1.ServicingResponse)
        async with method.open() as stream:
            await stream.send_message(request.message, end=True)
            async for found in stream:
                if found.HasField("completed"):
                    return found.completed
                if found.HasField("log"):
                    log.log(_LEVELS.get(found.log.level, logging.DEBUG), "%s", found.log.message)
        raise NetworkError("the daemon did not say how it ended", hint="see: trident get status")

    return _call(path, ask)


def reboot_wanted(done: v1.Completed) -> bool:
    """Whether the machine is to be restarted by whoever asked."""
    return done.reboot_status == v1.REBOOT_REQUIRED


def reboot_started(done: v1.Completed) -> bool:
    """Whether the daemon restarts the machine."""
    return done.reboot_status == v1.REBOOT_STARTED


def check(done: v1.Completed) -> None:
    """TwinrootError with the words of the daemon when it failed."""
    if done.status != v1.STATUS_CODE_SUCCESS:
        raise TwinrootError(done.error.error_message or done.error.message or "the daemon does not say why")


def _call(path: Path, ask: Callable[[Channel], Awaitable[T]]) -> T:
    async def run() -> T:
        with closing(Channel(path=str(path))) as channel:
            return await ask(channel)

    try:
        return asyncio.run(run())
    except GRPCError as error:
        raise HostError(f"the daemon refuses: {error.message or error.status.name}", where=str(path)) from error
    except (StreamTerminatedError, ProtocolError, OSError) as error:
        message = f"the daemon ended the connection: {error}"
        raise NetworkError(message, where=str(path), hint="what was begun goes on; see: trident get status") from error
