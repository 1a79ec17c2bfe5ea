"""A file on a server, read at offsets: one connection that goes on where reading goes on, resumed when it breaks.

    read_at ─▶ a look (64 KiB) at a new place ─▶ everything from there on, as one answer, while reading goes on

Reading the headers of an archive hops over its images: each hop costs one small answer, on a connection that stays
open. The file must not change meanwhile: what the first answer says of it (length, ETag, Last-Modified) is what every
answer must say (RFC 9110, sections 8.8 and 14.4).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType

import requests

from twinroot.errors import FormatError, InputError, NetworkError
from twinroot.registry import retry
from twinroot.registry.access import WITHOUT_FLAGS
from twinroot.registry.session import Broken, network_error
from twinroot.units import KIB, MIB

log = logging.getLogger(__name__)

LOOK = 64 * KIB
_PIECE = MIB
# Nearer than this, what lies between is read and dropped: quicker than a new request.
_NEAR = 64 * KIB
_WORTH_A_CONNECTION = MIB  # after so many bytes the next request comes without a pause
# No file has more bytes than 19 digits count.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
_BEHIND = re.compile(r"bytes \*/([0-9]{1,19})")

Request = Callable[[str], AbstractContextManager[requests.Response]]
"""A request with a `Range` header of that value. The answer's body is not read yet; its status may be any."""


@dataclass(frozen=True)
class Version:
    """What tells whether a file on a server is still the same: its length in bytes, and what the server says of it."""

    length: int
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class Answer:
    """What a server sent for a range: the bytes from `start` to `end` (not included) of a version of the file."""

    start: int
    end: int
    version: Version


class RangedFile:
    """A file behind a server that can give parts of it. Not for several threads at once.

    `name` is for messages, without anything secret. `pause` waits for some seconds. Raises NetworkError when the server
    cannot be reached or keeps failing, InputError when it cannot do what is needed or the file changes.
    """

    def __init__(self, request: Request, name: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        self.version: Version | None = None
        self._request = request
        self._pause = pause
        self._open = ExitStack()
        self._response: requests.Response | None = None
        self._at = 0  # where the open answer is
        self._end = 0  # where it ends

    def __enter__(self) -> RangedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes at an offset, fewer only at the end of the file."""
        parts = bytearray()
        attempt = 0
        while len(parts) < size and not (self.version and offset + len(parts) >= self.version.length):
            before = len(parts)
            try:
                self._go_on(offset + before, size - before, parts)
                continue
            except (NetworkError, *Broken) as error:
                failure = error if isinstance(error, NetworkError) else network_error(error, self.name, WITHOUT_FLAGS)
            self._close()
            if isinstance(failure, InputError):
                raise failure
            got = len(parts) - before
            attempt = 1 if got else attempt + 1
            if attempt >= retry.MAX_ATTEMPTS:
                raise failure
            going_on = f"going on at byte {offset + len(parts)}" if offset + len(parts) else "trying again"
            log.info("%s: %s; %s", self.name, failure.message, going_on)
            if got < _WORTH_A_CONNECTION:
                self._pause(retry.backoff(attempt))
        return bytes(parts)

    def _go_on(self, offset: int, size: int, parts: bytearray) -> None:
        """Read up to `size` bytes at an offset from the open answer, or from a new one."""
        if not self._reaches(offset):
            onwards = self._response is not None and offset == self._end
            self._close()
            self._ask(offset, None if onwards or size > LOOK else LOOK)
            if self.version and offset >= self.version.length:
                return
        while self._at < offset:
            self._receive(offset - self._at)
        wanted = min(size, self._end - self._at)
        while wanted > 0:
            piece = self._receive(min(wanted, _PIECE))
            parts += piece
            wanted -= len(piece)

    def _reaches(self, offset: int) -> bool:
        return self._response is not None and offset < self._end and 0 <= offset - self._at <= _NEAR

    def _receive(self, size: int) -> bytes:
        """Some bytes of the open answer; NetworkError when it ends before it should."""
        assert self._response is not None
        piece: bytes = self._response.raw.read1(size)
        if not piece:
            raise NetworkError("the connection ended early", where=self.name)
        self._at += len(piece)
        return piece

    def _ask(self, offset: int, length: int | None) -> None:
        """Open an answer with what comes from an offset on, up to `length` bytes of it."""
        last = "" if length is None else str(offset + length - 1)
        response = self._open.enter_context(self._request(f"bytes={offset}-{last}"))
        answer = answer_of(response.status_code, dict(response.headers), offset, self.name)
        if self.version is None:
            self.version = answer.version
        elif answer.version != self.version:
            raise InputError(
                "the file changed while it was read", where=self.name, hint="start again once it is complete"
            )
        if length is None and answer.end != answer.version.length:
            log.debug("%s: the server gives less than was asked for", self.name)
        self._response, self._at, self._end = response, answer.start, answer.end

    def _close(self) -> None:
        if self._response is not None and self._at == self._end:
            # Reading the end of the body frees the connection for the next request.
            with suppress(*Broken):
                self._response.raw.read1(1)
        self._response = None
        self._open.close()


def answer_of(status: int, headers: dict[str, str], offset: int, name: str) -> Answer:
    """What the head of an answer to a request for bytes from `offset` on says. Pure.

    NetworkError for what another try may mend, InputError for everything else but a usable answer.
    """
    found = {key.lower(): value for key, value in headers.items()}
    if status >= 500:
        raise NetworkError(f"the server answers with an error ({status})", where=name)
    etag, modified = found.get("etag"), found.get("last-modified")
    behind = _BEHIND.fullmatch(found.get("content-range", "").strip())
    if status == 416 and behind and offset >= int(behind[1]):
        return Answer(offset, offset, Version(int(behind[1]), etag, modified))  # there is nothing from here on
    if status == 200:
        raise InputError(
            "the server cannot give parts of files, or the file changed",
            where=name,
            hint="use a server that supports range requests (RFC 9110, section 14)",
        )
    if status == 416:
        raise InputError("the file is shorter than it should be", where=name, hint="was it uploaded completely?")
    if status != 206:
        hints = {401: "the server wants a login", 403: "the server does not let us have it", 404: "is the URL right?"}
        raise InputError(f"the server answers {status}", where=name, hint=hints.get(status))
    match = _CONTENT_RANGE.fullmatch(found.get("content-range", "").strip())
    if not match or match[3] == "*":
        raise InputError("the server does not say which part of the file it sends, or how long that is", where=name)
    start, last, length = (int(group) for group in match.groups())
    if start != offset or not start <= last < length:
        raise InputError("the server sends another part of the file than was asked for", where=name)
    if found.get("content-encoding", "identity") != "identity":
        raise FormatError("the server compresses the file although it was asked not to", where=name)
    return Answer(start, last + 1, Version(length, etag, modified))
