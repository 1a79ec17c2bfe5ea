"""A daemon in a mount namespace of its own: its datastore, log and locks are in folders of a test.

Nothing restarts the machine: programs called systemctl are a script that writes down what it was asked for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod

from twinroot.agent.datastore import Datastore
from twinroot.agent.host_status import HostStatus
from twinroot.agent.remote import trident_v1_pb2 as v1

T = TypeVar("T")
PATIENCE = 60.0
# What the namespace has in place of the host's.
_COVERED = {"lib": "/var/lib", "log": "/var/log", "run": "/run"}
_TRIDENT = (sys.executable, "-m", "twinroot.cli.trident")


@dataclass
class Place:
    """Folders of a daemon, and the daemons that were started in them."""

    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        """Where the daemon listens."""
        return self.folder / "s/trident.sock"

    @property
    def restarts(self) -> list[str]:
        """What was asked of systemctl."""
        path = self.folder / "systemctl.txt"
        return path.read_text().splitlines() if path.exists() else []

    def prepare(self) -> None:
        """Make the folders, and the systemctl that does nothing."""
        for name in (*_COVERED, "tools", "lib/trident"):
            (self.folder / name).mkdir(exist_ok=True)
        program = self.folder / "tools/systemctl"
        program.write_text(f'#!/bin/sh\necho "$@" >> {self.folder}/systemctl.txt\n')
        program.chmod(0o755)

    def put(self, status: HostStatus) -> None:
        """Give the machine a status."""
        with Datastore.create(self.folder / "lib/trident/datastore.sqlite") as datastore:
            datastore.write(status)

    def command(self, *words: str, program: Sequence[str] = _TRIDENT, before: Sequence[str] = ()) -> list[str]:
        """The command line of a program in the namespace. `before` is a program that starts it."""
        mounts = [f"mount --bind {self.folder}/{name} {path} &&" for name, path in _COVERED.items()]
        script = f'{" ".join(mounts)} exec "$@"'
        inside = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        return [*inside, *before, *program, *words]

    def environment(self) -> dict[str, str]:
        """An environment in which nothing can restart the machine, and a container is as good as one."""
        tools = f"{self.folder}/tools:/usr/sbin:/usr/bin:/sbin:/bin"
        return {**os.environ, "TWINROOT_TOOL_PATH": tools, "DOCKER_ENVIRONMENT": "false"}

    def start(
        self, *flags: str, before: Sequence[str] = (), program: Sequence[str] = _TRIDENT
    ) -> subprocess.Popen[bytes]:
        """Start a daemon, and wait until its socket is there."""
        words = ["daemon", "--socket-path", str(self.socket), *flags]
        with (self.folder / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen(
                self.command(*words, before=before, program=program), env=self.environment(), stderr=log
            )
        self.started.append(daemon)
        wait_until(lambda: self.answers() or daemon.poll() is not None)
        return daemon

    def answers(self) -> bool:
        """Whether somebody listens."""
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(self.socket))
            return True
        return False

    def log(self) -> str:
        """What the daemons printed."""
        return (self.folder / "daemon.log").read_text()

    def client_command(self, *words: str) -> list[str]:
        """The command line of `trident grpc-client`."""
        return [*_TRIDENT, "grpc-client", "--server", f"unix://{self.socket}", *words]

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `trident grpc-client`."""
        argv = self.client_command(*words)
        return subprocess.run(argv, env=self.environment(), capture_output=True, text=True, check=False)

    def end(self) -> None:
        """End what still runs."""
        for daemon in self.started:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(PATIENCE)
            finally:
                daemon.kill()


@contextmanager
def place_in(folder: Path) -> Iterator[Place]:
    """A place whose daemons end with the block."""
    place = Place(folder)
    place.prepare()
    try:
        yield place
    finally:
        place.end()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that is sure to come."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def talk(path: Path, work: Callable[[Channel], Coroutine[Any, Any, T]]) -> T:
    """Do something with a connection."""

    async def run() -> T:
        channel: Any = Channel(path=str(path))
        try:
            return await asyncio.wait_for(work(channel), PATIENCE)
        finally:
            # What was not sent to a daemon that refused it would keep the connection open longer than the loop.
            connection = channel._protocol.connection if channel._protocol else None
            transport = getattr(connection, "_transport", None)
            channel.close()
            if transport:
                transport.abort()
                await asyncio.sleep(0)

    return asyncio.run(run())


async def version(channel: Channel) -> str:
    """The version of the daemon."""
    method = UnaryUnaryMethod(channel, "/trident.v1.VersionService/Version", v1.VersionRequest, v1.VersionResponse)
    return str((await method(v1.VersionRequest())).version)


async def answers(channel: Channel, name: str, request: Any) -> AsyncGenerator[v1.ServicingResponse, None]:
    """What a method answers, one after the other."""
    method = UnaryStreamMethod(channel, f"/trident.v1.{name}", type(request), v1.ServicingResponse)
    async with method.open() as stream:
        await stream.send_message(request, end=True)
        async for found in stream:
            yield found


def asked(path: Path, name: str, request: Any) -> list[v1.ServicingResponse]:
    """All that a method answers; what every answer has in common is checked."""

    async def work(channel: Channel) -> list[v1.ServicingResponse]:
        return [found async for found in answers(channel, name, request)]

    found = talk(path, work)
    kinds = [response.WhichOneof("response") for response in found]
    assert kinds == ["started", *["log"] * (len(kinds) - 2), "completed"]
    assert all(response.timestamp.seconds > 0 for response in found)
    return found
