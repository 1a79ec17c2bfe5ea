"""Asking the place that offers images: a document on a web server (by its ETag) or in a registry (by its digest)."""

from __future__ import annotations

from dataclasses import dataclass

import requests

from twinroot.config.registry_reference import parse_reference
from twinroot.errors import FormatError, InputError, NetworkError
from twinroot.registry.access import WITHOUT_FLAGS, Access
from twinroot.registry.client import Client
from twinroot.registry.digest import digest_of
from twinroot.registry.resolve import resolve
from twinroot.registry.session import Broken, Session, network_error, trust

MAX_BYTES = 64 << 10
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte


@dataclass(frozen=True)
class Found:
    """A document as it was in a place; `version` is the ETag or the digest, where there is one."""

    source: str
    version: str | None
    text: str


def ask(source: str, known: Found | None, access: Access | None = None) -> Found:
    """The document of a place; `known` itself when it did not change since.

    One request, without repetitions: the timer asks again. Raises NetworkError, InputError, FormatError.
    """
    known = known if known and known.source == source else None
    if source.startswith("oci://"):
        return _from_registry(source, known, access or Access(advice=WITHOUT_FLAGS))
    return _from_server(source, known)


def _from_server(source: str, known: Found | None) -> Found:
    headers = {"If-None-Match": known.version} if known and known.version else {}
    with Session(trust(source.split("/")[2])) as session:
        try:
            with session.get(source, headers=headers, stream=True, timeout=_TIMEOUT) as response:
                if response.status_code == 304 and known:
                    return known
                _check(response, source)
                body = response.raw.read(MAX_BYTES + 1, decode_content=True)
                stated = response.headers.get("Content-Length")
                if stated and stated.isdigit() and len(body) < min(int(stated), MAX_BYTES):
                    raise NetworkError(f"only {len(body)} of {stated} bytes came", where=source)
                return Found(source, response.headers.get("ETag"), _text(body, source))
        except Broken as error:
            raise network_error(error, source, WITHOUT_FLAGS) from error


def _check(response: requests.Response, source: str) -> None:
    if response.status_code >= 500 or response.status_code == 429:
        raise NetworkError(f"the server answers {response.status_code} {response.reason}", where=source)
    if response.status_code != 200:
        hint = "look at `source` in the configuration, and at what the server has there"
        raise InputError(f"the server answers {response.status_code} {response.reason}", where=source, hint=hint)


def _from_registry(source: str, known: Found | None, access: Access) -> Found:
    reference = parse_reference(source.removeprefix("oci://"))
    if reference is None:
        raise InputError("this is no reference to something in a registry", where=source)
    with Client(reference, access) as client:
        resolved = resolve(client)
        digest = resolved.descriptor.digest
        if known and known.version == digest:
            return known
        layers = resolved.manifest.layers
        if len(layers) != 1 or layers[0].size > MAX_BYTES:
            hint = "push the document with the offer there, and nothing else"
            raise FormatError("the artifact is not one small file", where=source, hint=hint)
        body = client.read("GET", f"blobs/{layers[0].digest}", limit=MAX_BYTES).body
        if digest_of(body, layers[0].digest) != layers[0].digest:
            raise FormatError(f"the document does not match its digest {layers[0].digest}", where=source)
        return Found(source, digest, _text(body, source))


def _text(body: bytes, source: str) -> str:
    if len(body) > MAX_BYTES:
        raise FormatError(f"the document is longer than {MAX_BYTES} bytes", where=source)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise FormatError("the document is not text in UTF-8", where=source) from error
