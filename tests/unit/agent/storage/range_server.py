"""A small web server on loopback that gives parts of one file, and misbehaves when it is told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class RangeServer:
    """Serves `data` at any path. `answer` sees each request first and may answer it itself."""

    data: bytes = field(repr=False)
    etag: str | None = '"one"'
    last_modified: str | None = None
    cut_after: int | None = None
    """Bytes of a body after which the connection is closed."""
    cuts: int = 0
    """How many times that happens."""
    answer: Callable[[Request], bool] = lambda _request: False
    ranges: list[str] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    """Bytes of bodies."""
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[RangeServer]:
        """Listen while the block runs."""
        owner = self

        class Handler(Request):
            server_state = owner

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/os.cosi"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class Request(BaseHTTPRequestHandler):
    """One connection."""

    server_state: RangeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Clients may leave whenever they like."""
        self.server_state.connections += 1
        with suppress(OSError):
            super().handle()

    def do_GET(self) -> None:
        """Answer as the test wants, else with the range that was asked for."""
        state = self.server_state
        wanted = self.headers.get("Range", "")
        state.ranges.append(wanted)
        if state.answer(self):
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        assert match
        size = len(state.data)
        start, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
        if start >= size:
            self.reply(416, b"", Content_Range=f"bytes */{size}")
            return
        self.reply(206, state.data[start : last + 1], Content_Range=f"bytes {start}-{last}/{size}")

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """Answer; cut off where the test says so."""
        state = self.server_state
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if state.etag:
            self.send_header("ETag", state.etag)
        if state.last_modified:
            self.send_header("Last-Modified", state.last_modified)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if state.cuts and state.cut_after is not None and len(body) > state.cut_after:
            state.cuts -= 1
            state.sent += state.cut_after
            self.wfile.write(body[: state.cut_after])
            self.wfile.flush()
            self.close_connection = True
            return
        # Counted as it leaves: a client that has enough goes away.
        for at in range(0, len(body), 65536):
            self.wfile.write(body[at : at + 65536])
            state.sent += len(body[at : at + 65536])
