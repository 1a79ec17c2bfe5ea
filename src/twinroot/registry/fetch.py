"""One blob into one file: resumed after interruptions, hashed while it streams, never longer than it should be.

The file that grows is locked: another process that wants the same blob in the same place is told so. What an earlier
process left of it is hashed again and continued. Hashing and writing happen as bytes arrive, in pieces small enough
that a broken connection loses next to nothing.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.errors import BusyError, FormatError, InputError
from twinroot.registry.client import AnswerError, Client, StoppedError
from twinroot.registry.digest import hasher, matches
from twinroot.registry.manifest import Descriptor
from twinroot.registry.session import Broken, network_error

if TYPE_CHECKING:
    from hashlib import _Hash

    import requests

_PIECE = 512 << 10
_WORTH_A_CONNECTION = 1 << 20  # after so many bytes the next request comes without a pause
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Advance = Callable[[int], None]


class _Partial:
    """A growing file with the hash of what is in it."""

    def __init__(self, file: io.FileIO, blob: Descriptor, client: Client) -> None:
        self.file = file
        self.blob = blob
        self.size = 0
        self.hash: _Hash = hasher(blob.digest)
        self.resumed = False
        self._stop = client.stop

    def take_over(self) -> None:
        """Hash what an earlier process left."""
        left = os.fstat(self.file.fileno()).st_size
        if left > self.blob.size:
            self.restart()
            return
        self.resumed = left > 0
        self.file.seek(0)
        while self.size < left and (piece := self.file.read(1 << 20)):
            if self._stop.is_set():
                raise StoppedError
            self.hash.update(piece)
            self.size += len(piece)

    def restart(self) -> None:
        """Begin anew."""
        self.file.truncate(0)
        self.file.seek(0)
        self.size, self.resumed, self.hash = 0, False, hasher(self.blob.digest)

    def add(self, piece: bytes) -> None:
        """Append."""
        if self.size + len(piece) > self.blob.size:
            raise self.wrong("is longer than the manifest says")
        self.hash.update(piece)
        view = memoryview(piece)
        while view:
            view = view[self.file.write(view) :]
        self.size += len(piece)

    def wrong(self, what: str) -> FormatError:
        """The error of a blob that is not what the manifest says."""
        name = self.blob.title or self.blob.digest
        hint = "the registry or something before it is damaged; nothing of it was kept"
        return FormatError(f"the content of {name} {what} ({self.blob.digest})", hint=hint)


def fetch_blob(client: Client, blob: Descriptor, partial: Path, advance: Advance) -> None:
    """Fetch a blob into the file `partial`, continuing what is in it; on return its digest matched and it is synced.

    `advance` is told the bytes that came from the network, as differences; negative when they have to come again.
    A wrong digest or length is a FormatError, and the file is removed. After NetworkError and interruptions it stays.
    """
    with _locked(partial) as file:
        growing = _Partial(file, blob, client)
        growing.take_over()
        try:
            _complete(client, growing, advance)
        except FormatError:
            partial.unlink(missing_ok=True)
            raise
        os.fsync(file.fileno())


def _complete(client: Client, growing: _Partial, advance: Advance) -> None:
    while True:
        resumed = growing.resumed
        _receive(client, growing, advance)
        if matches(growing.blob.digest, growing.hash):
            return
        if not resumed:
            raise growing.wrong("does not match its digest")
        # What an earlier process left was damaged, perhaps by a power cut. Only once: nothing is resumed then.
        advance(-growing.blob.size)
        growing.restart()


def _receive(client: Client, growing: _Partial, advance: Advance) -> None:
    """Request after request until all bytes are here."""
    attempt = 0
    while growing.size < growing.blob.size:
        before = growing.size
        try:
            _continue(client, growing, advance)
            failure: Exception = growing.wrong("ended early")
        except Broken as error:
            name = growing.blob.title or growing.blob.digest
            failure = network_error(error, f"{client.reference} ({name})", client.advice)
        if growing.size < growing.blob.size:
            got = growing.size - before
            attempt = 1 if got > 0 else attempt + 1
            if got < _WORTH_A_CONNECTION:
                client.pause(attempt, failure)


def _continue(client: Client, growing: _Partial, advance: Advance) -> None:
    """One request: from where we are as far as it goes. `Broken` when the connection breaks."""
    start = growing.size
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with client.open("GET", f"blobs/{growing.blob.digest}", headers=headers, ok=(200, 206)) as response:
            _check_range(response, growing, advance)
            for piece in _pieces(response):
                growing.add(piece)
                advance(len(piece))
                if client.stop.is_set():
                    raise StoppedError
    except AnswerError as error:
        if error.status == 416:
            raise growing.wrong("is shorter than the manifest says") from error
        raise


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives: nothing waits in a buffer that a broken connection would take with it."""
    raw = response.raw
    while piece := raw.read1(_PIECE):
        yield piece


def _check_range(response: requests.Response, growing: _Partial, advance: Advance) -> None:
    """That the answer is what was asked for; begin anew when the server cannot resume."""
    size = growing.blob.size
    if response.status_code == 200:
        if growing.size:
            advance(-growing.size)
            growing.restart()
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else size
    else:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != growing.size:
            raise InputError("the server answers with another range than was asked for", where=response.url)
        total = size if match[3] == "*" else int(match[3])
    if total != size:
        raise growing.wrong(f"has {total} bytes where the manifest says {size}")


@contextmanager
def _locked(path: Path) -> Iterator[io.FileIO]:
    """The file, made when missing, for us alone: never a link or a pipe that somebody put there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with io.FileIO(os.open(path, flags, 0o666), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError("another process is fetching this file", where=str(path)) from error
        yield file
