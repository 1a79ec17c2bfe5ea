"""From a reference to the manifest behind it: by digest, through image indexes, for a platform."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from twinroot.config.registry_reference import DIGEST
from twinroot.errors import FormatError, InputError
from twinroot.registry.client import Client
from twinroot.registry.digest import digest_of
from twinroot.registry.manifest import (
    DOCKER_CONFIG,
    INDEXES,
    MANIFESTS,
    MAX_DOCUMENT,
    OCI_CONFIG,
    Descriptor,
    Index,
    Manifest,
    Platform,
    candidates,
    host_platform,
    parse_document,
    shown_platforms,
)

log = logging.getLogger(__name__)

_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
_DEEPEST, _MOST_INDEXES = 5, 32


@dataclass(frozen=True)
class Document:
    """A manifest or an index as the registry holds it: `raw` bytes and what they say."""

    descriptor: Descriptor
    raw: bytes
    content: Manifest | Index


@dataclass(frozen=True)
class Resolved:
    """A manifest, and the `top` document that the reference named: the same, or an index above it."""

    top: Descriptor
    descriptor: Descriptor
    raw: bytes
    manifest: Manifest


def get_document(client: Client, selector: str) -> Document:
    """What a tag or a digest names, its digest checked. AnswerError, FormatError, NetworkError."""
    answer = client.read("GET", f"manifests/{selector}", headers={"Accept": _ACCEPT}, limit=MAX_DOCUMENT)
    where = str(client.reference)
    stated = answer.headers.get("Docker-Content-Digest", "")
    named = selector if DIGEST.fullmatch(selector) else stated if DIGEST.fullmatch(stated) else "sha256:"
    digest = digest_of(answer.body, named)
    if named != "sha256:" and digest != named:
        raise FormatError(f"the manifest does not match its digest {named}", where=where)
    media_type = answer.headers.get("Content-Type", "")
    try:
        content = parse_document(answer.body, media_type)
        kind = _media_type(answer.body, media_type)
    except FormatError as error:
        raise FormatError(error.message, where=where) from error
    artifact_type = content.artifact_type if isinstance(content, Manifest) else None
    return Document(Descriptor(kind, digest, len(answer.body), artifact_type=artifact_type), answer.body, content)


def resolve(client: Client, platform: Platform | None = None) -> Resolved:
    """The manifest of a reference, for a platform where it names an index (the host's by default).

    InputError when the index has nothing for the platform: it lists those there are.
    """
    top = get_document(client, client.reference.selector)
    if isinstance(top.content, Manifest):
        if platform:
            _check_platform(client, top.content, platform)
        return Resolved(top.descriptor, top.descriptor, top.raw, top.content)
    search = _Search(client, platform or host_platform())
    found = search.below(top.content, 1)
    if found is None or not isinstance(found.content, Manifest):
        raise InputError(
            f"there is nothing for the platform {search.wanted}",
            where=str(client.reference),
            hint=f"choose one with --platform; there are: {shown_platforms(search.seen)}",
        )
    return Resolved(top.descriptor, found.descriptor, found.raw, found.content)


class _Search:
    """Looking through nested indexes, of which a hostile registry may hold any number."""

    def __init__(self, client: Client, wanted: Platform) -> None:
        self.wanted = wanted
        self.seen: list[Descriptor] = []
        self._client = client
        self._indexes = 0

    def below(self, index: Index, depth: int) -> Document | None:
        """The first manifest for the platform in an index or those below it."""
        self._indexes += 1
        if depth > _DEEPEST or self._indexes > _MOST_INDEXES:
            raise FormatError("the image index is nested too deeply", where=str(self._client.reference))
        self.seen += index.entries
        for entry in candidates(index, self.wanted):
            document = get_document(self._client, entry.digest)
            if isinstance(document.content, Manifest):
                return document
            found = self.below(document.content, depth + 1)
            if found:
                return found
        return None


def _check_platform(client: Client, manifest: Manifest, wanted: Platform) -> None:
    """A manifest outside any index has a platform when it is that of a container image, in its configuration."""
    config = manifest.config
    if config.media_type not in (OCI_CONFIG, DOCKER_CONFIG) or config.size > MAX_DOCUMENT:
        log.warning("%s is no image index: it has no platforms to choose from", client.reference)
        return
    body = client.read("GET", f"blobs/{config.digest}", limit=MAX_DOCUMENT).body
    if digest_of(body, config.digest) != config.digest:
        raise FormatError("the configuration does not match its digest", where=str(client.reference))
    try:
        found = json.loads(body)
        there = Platform(*(str(found.get(key, "")) for key in ("os", "architecture", "variant")))
    except (ValueError, AttributeError, RecursionError) as error:
        raise FormatError("the image's configuration is not a JSON object", where=str(client.reference)) from error
    if there.os and not wanted.accepts(there):
        raise InputError(f"this is an image for {there}, not for {wanted}", where=str(client.reference))


def _media_type(body: bytes, header: str) -> str:
    stated = json.loads(body).get("mediaType")
    return stated if isinstance(stated, str) and stated else header.split(";")[0].strip()
