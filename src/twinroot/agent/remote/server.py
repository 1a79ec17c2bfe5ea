"""The daemon's server: one loop that takes connections, one operation at a time, and an end when nobody wants anything.

What requests mean is in `orders.py`; a command is carried out in a thread (`operation.py`).
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from twinroot import __version__
from twinroot.agent.remote import orders
from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.remote.answers import Ended, completed, restarts
from twinroot.agent.remote.operation import carry_out
from twinroot.agent.remote.orders import Order
from twinroot.agent.remote.protocol import Connections, receive
from twinroot.errors import InputError

log = logging.getLogger("twinroot.remote")

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 5.0  # seconds for clients to read to the end what they were answered
_BACKLOG = 64

Answer = asyncio.Queue[v1.ServicingResponse]
Requests = Callable[[Any], Order]

_STREAMED: dict[str, tuple[type[Any], Requests]] = {
    "/trident.v1.UpdateService/Update": (v1.UpdateRequest, orders.of_update),
    "/trident.v1.UpdateService/UpdateStage": (v1.StageUpdateRequest, orders.of_stage),
    "/trident.v1.UpdateService/UpdateFinalize": (v1.FinalizeUpdateRequest, orders.of_finalize),
    "/trident.v1.CommitService/Commit": (v1.CommitRequest, orders.of_commit),
    "/trident.v1.StreamingService/StreamDisk": (v1.StreamDiskRequest, orders.of_stream),
}


class Daemon:
    """Answers requests until it is told to end, or nobody was there for a while."""

    def __init__(self, program: Sequence[str], idle_seconds: float) -> None:
        """`program` is how a command of the agent is started."""
        self.restart = False
        """Whether an operation that has ended wants the machine restarted, which is for whoever ran the daemon."""
        self._program = program
        self._idle_seconds = idle_seconds
        self._operation: asyncio.Task[None] | None = None
        self._answering = 0
        self._ending = asyncio.Event()
        self._settled = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._connections = Connections(self, self._on_change)

    async def serve(self, listening: socket.socket) -> None:
        """Serve a listening socket to the end. What has begun is done then."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_note)
        for number in ENDING:
            loop.add_signal_handler(number, self._end, f"signal {signal.Signals(number).name}")
        # Not create_unix_server, which removes the socket at its end in newer Pythons, even that of systemd.
        server = await loop.create_server(self._connections.protocol, sock=listening, backlog=_BACKLOG)
        self._on_change()
        await self._ending.wait()
        server.close()
        while self._operation:
            await self._operation
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settle(), _PATIENCE)
        await self._connections.close(_PATIENCE)

    def __mapping__(self) -> dict[str, Handler]:
        """The methods with what answers them, as grpclib asks for them."""
        stream = {
            path: Handler(self._servicing(kind, order_of), Cardinality.UNARY_STREAM, kind, v1.ServicingResponse)
            for path, (kind, order_of) in _STREAMED.items()
        }
        return {
            "/trident.v1.VersionService/Version": Handler(
                _version, Cardinality.UNARY_UNARY, v1.VersionRequest, v1.VersionResponse
            ),
            **stream,
        }

    def _servicing(self, kind: type[Any], order_of: Requests) -> Callable[[Stream[Any, Any]], Any]:
        async def answer(stream: Stream[Any, Any]) -> None:
            try:
                order = order_of(await receive(stream, kind))
            except InputError as error:
                raise GRPCError(Status.INVALID_ARGUMENT, error.message) from error
            await self._answer(stream, order)

        return answer

    async def _answer(self, stream: Stream[Any, Any], order: Order) -> None:
        """Begin an operation and tell of it. Whoever goes away hears no more, and the operation goes on."""
        if self._ending.is_set():
            raise GRPCError(Status.UNAVAILABLE, "the daemon is ending")
        if self._operation:
            raise GRPCError(Status.UNAVAILABLE, "servicing is active")
        answer: Answer = asyncio.Queue()
        self._operation = asyncio.create_task(self._operate(order, answer))
        self._answering += 1
        self._on_change()
        try:
            done = False
            while not done:
                message = await answer.get()
                await stream.send_message(message)
                done = message.HasField("completed")
            await stream.send_trailing_metadata()
        finally:
            self._answering -= 1
            self._on_change()

    async def _operate(self, order: Order, answer: Answer) -> None:
        loop = asyncio.get_running_loop()

        def say(found: v1.Log) -> None:
            loop.call_soon_threadsafe(answer.put_nowait, _response(log=found))

        log.info("A client asks for: %s %s", order.command, order.operations)
        answer.put_nowait(_response(started=v1.Started()))
        try:
            ended = await asyncio.to_thread(carry_out, self._program, order, say)
            done = completed(order, ended)
        except Exception as error:
            # Whatever it is, the client hears of it, and the next one is served.
            log.exception("The command could not be carried out")
            ended = Ended(1, None, str(error))
            done = completed(order, ended)
        log.info("It ended with %s, %s", v1.StatusCode.Name(done.status), v1.RebootStatus.Name(done.reboot_status))
        answer.put_nowait(_response(completed=done))
        self._operation = None
        if restarts(order, ended):
            self.restart = True
            self._end("the machine is to be restarted")
        self._on_change()

    def _on_change(self) -> None:
        """Somebody came, went, began or ended: begin to wait for an end anew, or not at all."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._answering:
            self._settled.set()
        if not self._connections.open and not self._operation:
            self._timer = asyncio.get_running_loop().call_later(
                self._idle_seconds, self._end, "nobody asked for anything"
            )

    def _end(self, why: str) -> None:
        if not self._ending.is_set():
            log.info("Ending: %s%s", why, "; waiting for the operation that runs" if self._operation else "")
            self._ending.set()

    async def _settle(self) -> None:
        """Wait until all answers were given."""
        while self._answering:
            self._settled.clear()
            await self._settled.wait()


async def _version(stream: Stream[Any, Any]) -> None:
    await receive(stream, v1.VersionRequest)
    await stream.send_message(v1.VersionResponse(version=__version__))


def _response(**response: Any) -> v1.ServicingResponse:
    found = v1.ServicingResponse(**response)
    found.timestamp.FromNanoseconds(time.time_ns())
    return found


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody caught concerns one connection, and the others go on."""
    log.error("%s: %r", context.get("message"), context.get("exception"))
