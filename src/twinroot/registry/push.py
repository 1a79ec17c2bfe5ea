"""Pushing: files as one artifact, and the index that leads to it for a platform.

Blobs first, then the manifest, then the tag or index: whoever pulls meanwhile sees the old state or the new one.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial as bound
from pathlib import Path
from typing import Any

from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.registry.client import AnswerError, Client, StoppedError
from twinroot.registry.counter import Counter
from twinroot.registry.digest import digest_of
from twinroot.registry.manifest import (
    OCI_INDEX,
    OCI_MANIFEST,
    TITLE,
    Descriptor,
    Index,
    Platform,
)
from twinroot.registry.media import ARTIFACT_TYPE, Media, describe
from twinroot.registry.parallel import run_all
from twinroot.registry.resolve import get_document
from twinroot.registry.titles import file_names
from twinroot.registry.upload import upload_bytes, upload_file

_EMPTY = Descriptor("application/vnd.oci.empty.v1+json", digest_of(b"{}"), 2)
_CREATED = "org.opencontainers.image.created"


@dataclass(frozen=True)
class Push:
    """What is pushed. With a platform it goes into the image index of the reference, in place of that platform's."""

    files: tuple[Path, ...]
    artifact_type: str = ARTIFACT_TYPE
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None


@dataclass(frozen=True)
class _File:
    path: Path
    media: Media


def push(client: Client, request: Push, emit: Emit) -> Descriptor:
    """Push; returns the descriptor of what the reference names now. InputError, NetworkError, AnswerError."""
    if client.reference.digest:
        raise InputError(
            "a tag is wanted, not a digest", where=str(client.reference), hint="name it HOST/REPOSITORY:TAG"
        )
    files = _look_at(request)
    index = _index_there(client) if request.platform else None
    layers = _describe_all(files, client, emit)
    file_names(layers)
    total = sum(layer.size for layer in layers)
    with phase(emit, "push", f"Pushing to {client.reference}", total=total):
        count = Counter(emit, "push", total)
        pairs = zip(files, layers, strict=True)
        run_all([bound(upload_file, client, layer, file.path, count.add) for file, layer in pairs], client.stop)
        upload_bytes(client, _EMPTY, b"{}")
    document = manifest_document(request, layers, [file.media for file in files])
    if request.platform is None:
        return _put(client, client.reference.selector, document)
    entry = _put(client, digest_of(encode(document)), document)
    entry = replace(entry, platform=request.platform, artifact_type=request.artifact_type)
    return _put(client, client.reference.selector, index_document(index, entry))


def manifest_document(request: Push, layers: Sequence[Descriptor], media: Sequence[Media]) -> dict[str, Any]:
    """The manifest of an artifact (image specification 1.1, "guidelines for artifact usage")."""
    found = {key: value for one in media for key, value in one.annotations.items()}
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": request.artifact_type,
        "config": _EMPTY.as_json(),
        "layers": [layer.as_json() for layer in layers],
        "annotations": {_CREATED: _now(), **found, **request.annotations},
    }


def index_document(before: dict[str, Any] | None, entry: Descriptor) -> dict[str, Any]:
    """An index with an entry in place of that of the same platform; everything else in it stays as it is."""
    wanted = entry.as_json()
    document = before or {"schemaVersion": 2, "mediaType": OCI_INDEX}
    others = [other for other in document.get("manifests") or () if other.get("platform") != wanted["platform"]]
    return {**document, "manifests": [*others, wanted]}


def encode(document: dict[str, Any]) -> bytes:
    """The bytes of a document, which its digest is about."""
    return json.dumps(document, separators=(",", ":")).encode()


def _look_at(request: Push) -> list[_File]:
    """The files with what they are; InputError for what cannot be pushed together."""
    for path in request.files:
        if not path.is_file():
            raise InputError("there is no such file" if not path.exists() else "this is no file", where=str(path))
    files = [_File(path, describe(path)) for path in request.files]
    cosi = [file for file in files if file.media.is_cosi]
    if cosi and len(files) > 1:
        hint = "push each under a reference of its own"
        raise InputError("a COSI file is pushed alone: whoever installs it wants one layer", hint=hint)
    if request.platform and cosi and cosi[0].media.architecture not in (None, request.platform.architecture):
        raise InputError(
            f"the image is for {cosi[0].media.architecture}, not for {request.platform}", where=str(cosi[0].path)
        )
    return files


def _describe_all(files: Sequence[_File], client: Client, emit: Emit) -> list[Descriptor]:
    total = sum(file.path.stat().st_size for file in files)
    with phase(emit, "hash", "Computing digests", total=total):
        count = Counter(emit, "hash", total)
        return [_descriptor(file, client.stop, count.add) for file in files]


def _descriptor(file: _File, stop: threading.Event, advance: Callable[[int], None]) -> Descriptor:
    found, size = hashlib.sha256(), 0
    with file.path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            if stop.is_set():
                raise StoppedError
            found.update(piece)
            size += len(piece)
            advance(len(piece))
    digest = f"sha256:{found.hexdigest()}"
    return Descriptor(file.media.media_type, digest, size, {TITLE: file.path.name})


def _index_there(client: Client) -> dict[str, Any] | None:
    """The index that the tag names so far; None when there is nothing. InputError when it is no index."""
    try:
        found = get_document(client, client.reference.selector)
    except AnswerError as error:
        if error.status != 404:
            raise
        return None
    if not isinstance(found.content, Index):
        hint = "take another tag, or leave --platform out to replace it"
        raise InputError("the tag names an artifact, not an image index", where=str(client.reference), hint=hint)
    document: dict[str, Any] = json.loads(found.raw)
    return {**document, "mediaType": found.descriptor.media_type}


def _put(client: Client, selector: str, document: dict[str, Any]) -> Descriptor:
    data, kind = encode(document), document["mediaType"]
    client.read("PUT", f"manifests/{selector}", headers={"Content-Type": kind}, data=data, ok=(201,))
    return Descriptor(kind, digest_of(data), len(data))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
