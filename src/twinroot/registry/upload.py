"""One blob into a registry: in pieces, continued after interruptions (distribution specification, "pushing blobs")."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

from twinroot.errors import InputError, NetworkError
from twinroot.registry.client import Answer, AnswerError, Client
from twinroot.registry.manifest import Descriptor

_CHUNK = 16 << 20
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")

Advance = Callable[[int], None]


def has_blob(client: Client, digest: str) -> bool:
    """Whether the repository has a blob already."""
    return client.read("HEAD", f"blobs/{digest}", ok=(200, 404)).status == 200


def upload_bytes(client: Client, blob: Descriptor, data: bytes) -> None:
    """Store a small blob."""
    if not has_blob(client, blob.digest):
        location = _begin(client)
        _finish(client, location, blob, data)


def upload_file(client: Client, blob: Descriptor, path: Path, advance: Advance) -> None:
    """Store a file; `advance` gets the bytes that were accepted, as differences.

    A piece that does not arrive is sent again from where the registry is. InputError when the file changed meanwhile.
    """
    if has_blob(client, blob.digest):
        advance(blob.size)
        return
    with path.open("rb") as file:
        upload = _Upload(client, blob, file, advance)
        while upload.offset < blob.size:
            upload.send_chunk()
        _finish(client, upload.location, blob, b"")


class _Upload:
    """An upload under way: `location` is where the next request goes, `offset` what the registry has."""

    def __init__(self, client: Client, blob: Descriptor, file: BinaryIO, advance: Advance) -> None:
        self.location = _begin(client)
        self.offset = 0
        self._client = client
        self._blob = blob
        self._file = file
        self._advance = advance
        self._failures = 0
        self._farthest = 0

    def send_chunk(self) -> None:
        """Send the next piece."""
        self._file.seek(self.offset)
        data = self._file.read(min(_CHUNK, self._blob.size - self.offset))
        if not data:
            raise InputError("the file became shorter while it was pushed", where=self._file.name)
        shown = f"{self.offset}-{self.offset + len(data) - 1}"
        headers = {"Content-Type": "application/octet-stream", "Content-Range": shown}
        try:
            answer = self._client.read("PATCH", self.location, headers=headers, data=data, ok=(202,), repeat=False)
        except NetworkError as error:
            self._recover(error)
        except AnswerError as error:
            # 416: the registry has another part than we think.
            if error.status != 416:
                raise
            self._recover(error)
        else:
            self.location = _location(self._client, answer)
            self._moved(_end(answer, self.offset + len(data)))

    def _recover(self, failure: Exception) -> None:
        """Ask how far the registry is; begin anew when it forgot the upload.

        docker-registry forgets uploads that were cut within a piece; others keep what came.
        """
        self._failures += 1
        problem = NetworkError(str(failure), where=self._client.base) if isinstance(failure, AnswerError) else failure
        self._client.pause(self._failures, problem)
        try:
            answer = self._client.read("GET", self.location, ok=(204,))
        except AnswerError as error:
            if error.status != 404:
                raise
            self.location = _begin(self._client)
            self._moved(0)
        else:
            self.location = _location(self._client, answer, self.location)
            self._moved(_end(answer, 0))

    def _moved(self, offset: int) -> None:
        if not 0 <= offset <= self._blob.size:
            raise InputError("the registry says it has more of the file than there is", where=self._client.base)
        self._advance(offset - self.offset)
        self.offset = offset
        # Only what never arrived before is progress: a registry that keeps forgetting must not be served for ever.
        if offset > self._farthest:
            self._farthest, self._failures = offset, 0


def _begin(client: Client) -> str:
    answer = client.read("POST", "blobs/uploads/", data=b"", ok=(202,))
    return _location(client, answer)


def _finish(client: Client, location: str, blob: Descriptor, data: bytes) -> None:
    url = f"{location}{'&' if '?' in location else '?'}digest={blob.digest.replace(':', '%3A')}"
    try:
        client.read("PUT", url, headers={"Content-Type": "application/octet-stream"}, data=data, ok=(201, 204))
    except AnswerError as error:
        if error.status == 400:
            hint = "did the file change while it was pushed?"
            raise InputError(f"the registry does not accept the content: {error.message}", hint=hint) from error
        # The answer to a repeated request: the first one arrived after all.
        if error.status != 404 or not has_blob(client, blob.digest):
            raise


def _location(client: Client, answer: Answer, default: str | None = None) -> str:
    location = answer.headers.get("Location") or default
    if not location:
        raise InputError("the registry does not say where the upload goes on", where=client.base)
    url = urljoin(client.base, location)
    if client.base.startswith("https:") and not url.startswith("https:"):
        raise InputError("the registry wants the upload without TLS", where=url)
    return url


def _end(answer: Answer, default: int) -> int:
    """Bytes that the registry has, by its `Range` header; `0-0` stands for nothing as well as for one byte."""
    match = _RANGE.fullmatch(answer.headers.get("Range", ""))
    if not match:
        return default
    return 0 if match[1] == "0" and default != 1 else int(match[1]) + 1
