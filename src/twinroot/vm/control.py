"""QEMU's control channel: the QEMU Machine Protocol (docs/interop/qmp-spec), JSON lines over a socket.

Commands are answered in order; events that come in between are not needed here.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from twinroot.errors import MachineError


class Control:
    """The control channel on a connected socket, which it closes in the end."""

    def __init__(self, channel: socket.socket, *, timeout: float = 60.0) -> None:
        self._socket = channel
        self._socket.settimeout(timeout)
        self._file = channel.makefile("rb")
        self._ready = False

    def execute(self, command: str, **arguments: object) -> Any:
        """Run a QMP command and return its result; MachineError when QEMU refuses it or is gone."""
        if not self._ready:
            self._receive("QMP")
            self._request("qmp_capabilities", {})
            self._ready = True
        return self._request(command, arguments)

    def close(self) -> None:
        """Close the socket."""
        self._file.close()
        self._socket.close()

    def _request(self, command: str, arguments: dict[str, object]) -> Any:
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        except OSError as error:
            raise MachineError(f"QEMU does not take the command '{command}': {error.strerror or error}") from error
        return self._receive("return")

    def _receive(self, key: str) -> Any:
        """The value of the next message that has `key`."""
        while True:
            try:
                line = self._file.readline()
            except OSError as error:
                raise MachineError(f"QEMU's control channel failed: {error.strerror or error}") from error
            if not line:
                raise MachineError("QEMU closed its control channel")
            message = json.loads(line)
            if "error" in message:
                raise MachineError(f"QEMU refused: {message['error']['desc']}")
            if key in message:
                return message[key]
