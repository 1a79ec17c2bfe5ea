"""The connections of the daemon, and reading requests from them with a bound."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server, Stream

from twinroot.units import MIB

log = logging.getLogger("twinroot.remote")

MAX_REQUEST = 16 * MIB
"""Bytes of a request; far more than a configuration that anybody would write."""

_HEAD = 5  # a flag for compression, and the length in four bytes: gRPC over HTTP/2, "Length-Prefixed-Message"


class Connections:
    """Makes the protocol of each new connection, and knows which are open."""

    def __init__(self, service: Any, on_change: Callable[[], None]) -> None:
        """`service` has the methods, as grpclib asks for them; `on_change` hears of connections that come and go."""
        # Neither started nor closed: its start does not see connections, and its end gives up requests.
        self._server = Server([service])
        self._server._mapping = _Methods(self._server._mapping)
        self._on_change = on_change
        self.open: set[asyncio.Transport] = set()
        # It tells every broken request with a traceback. What may be a fault of ours is logged where it is caught.
        logging.getLogger("grpclib").setLevel(logging.CRITICAL + 1)

    def protocol(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Watched(self._server._protocol_factory(), self)

    def came(self, transport: asyncio.Transport) -> None:
        """A connection was made."""
        self.open.add(transport)
        self._on_change()

    def went(self, transport: asyncio.Transport) -> None:
        """A connection was lost."""
        self.open.discard(transport)
        self._on_change()

    async def close(self, seconds: float) -> None:
        """End all connections: what was written is sent, as far as the other side reads it in time."""
        for transport in list(self.open):
            transport.close()
        for _attempt in range(int(seconds * 100)):
            if not self.open:
                return
            await asyncio.sleep(0.01)
        for transport in list(self.open):
            transport.abort()


class _Methods(dict[str, Handler]):
    """The methods by their paths. grpclib answers others without a content type, so that clients only see a damage."""

    def get(self, path: str, _default: Any = None) -> Handler:
        """The method of a path, or what says that there is none."""

        async def refuse(_stream: Stream[Any, Any]) -> None:
            raise GRPCError(Status.UNIMPLEMENTED, f"the daemon has no method {path}")

        return self[path] if path in self else Handler(refuse, Cardinality.UNARY_STREAM, Message, Message)


class _Watched(asyncio.Protocol):
    """A connection. Whatever its other side sends, no more than the connection ends."""

    def __init__(self, inner: H2Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.came(transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._inner.data_received(data)
        except Exception as error:
            log.debug("A client sent what makes no sense: %r", error)
            self._transport.abort()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)
        self._connections.went(self._transport)


async def receive(stream: Stream[Any, Any], kind: type[Any]) -> Any:
    """The one message of a request; GRPCError when it is none, or too long.

    grpclib itself takes messages of up to 4 GiB, and has no public way to look at the length first.
    """
    raw = stream._stream
    try:
        head = await raw.recv_data(_HEAD)
        if not head:
            raise GRPCError(Status.INVALID_ARGUMENT, "the request has no message")
        compressed, length = struct.unpack(">BI", head)
        if compressed:
            raise GRPCError(Status.UNIMPLEMENTED, "compressed messages are not understood")
        if length > MAX_REQUEST:
            message = f"the request has {length} bytes, and may have {MAX_REQUEST}"
            raise GRPCError(Status.RESOURCE_EXHAUSTED, message)
        return kind.FromString(await raw.recv_data(length))
    except (AssertionError, DecodeError) as error:  # grpclib asserts that everything came
        raise GRPCError(Status.INVALID_ARGUMENT, "the request is damaged") from error
