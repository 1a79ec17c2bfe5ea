"""Manifests and image indexes: bytes of a registry to values, and choosing by platform. Pure.

Formats: OCI image specification 1.1, "manifest" and "image-index"; Docker's schema 2 has the same fields. What comes
from a registry is hostile until checked: sizes, digests, names of files.
"""

from __future__ import annotations

import json
import platform as host
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twinroot.errors import FormatError, InputError
from twinroot.registry.digest import hasher

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = (OCI_MANIFEST, _DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, _DOCKER_INDEX)
TITLE = "org.opencontainers.image.title"
# A layer that is a packed directory, as the oras tools mark it.
UNPACK = "io.deis.oras.content.unpack"

MAX_DOCUMENT = 4 << 20  # bytes; the limit that the distribution specification names
_MAX_ENTRIES = 1000
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Platform:
    """Operating system and architecture in Go's naming, such as linux/amd64; `variant` such as v8."""

    os: str
    architecture: str
    variant: str = ""

    def accepts(self, other: Platform) -> bool:
        """Whether an image for `other` is what was asked for; a variant counts where one was asked for."""
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and self.variant in ("", other.variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True)
class Descriptor:
    """What a blob or document is: media type, digest, size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str | None = None

    @property
    def title(self) -> str | None:
        """The name of the file that it is."""
        return self.annotations.get(TITLE)

    def as_json(self) -> dict[str, Any]:
        """The descriptor as manifests hold it."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        if self.platform:
            names = (("os", self.platform.os), ("architecture", self.platform.architecture))
            found["platform"] = dict(names) | ({"variant": self.platform.variant} if self.platform.variant else {})
        return found | ({"annotations": dict(self.annotations)} if self.annotations else {})


@dataclass(frozen=True)
class Manifest:
    """An artifact or image: its files are the layers."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str]
    artifact_type: str | None = None
    subject: Descriptor | None = None


@dataclass(frozen=True)
class Index:
    """Manifests, or further indexes, for several platforms."""

    entries: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)


def parse_platform(text: str) -> Platform:
    """`OS`, `OS/ARCH` or `OS/ARCH/VARIANT`; without an architecture the host's. InputError otherwise."""
    parts = text.split("/")
    if len(parts) > 3 or not all(part and part.isascii() and part.isprintable() for part in parts):
        raise InputError(f"{text!r} is not a platform", hint="write OS/ARCH, for example linux/amd64")
    architecture = parts[1] if len(parts) > 1 else host_platform().architecture
    return Platform(parts[0], architecture, parts[2] if len(parts) > 2 else "")


def host_platform() -> Platform:
    """linux, for the architecture of the machine we run on."""
    machine = host.machine()
    return Platform("linux", _GO_NAMES.get(machine, machine))


def parse_document(data: bytes, media_type: str) -> Manifest | Index:
    """A manifest or an index; FormatError for anything else. The document's own `mediaType` counts where it has one."""
    if len(data) > MAX_DOCUMENT:
        raise FormatError("the manifest is larger than 4 MiB")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("the manifest is not JSON") from error
    if not isinstance(found, dict):
        raise FormatError("the manifest is not a JSON object")
    kind = found.get("mediaType") or media_type.split(";")[0].strip()
    if kind in INDEXES or (kind not in MANIFESTS and "manifests" in found):
        return Index(_descriptors(found, "manifests"), _strings(found, "annotations"))
    if kind in MANIFESTS or ("config" in found and "layers" in found):
        subject = found.get("subject")
        return Manifest(
            config=_descriptor(found.get("config"), "config"),
            layers=_descriptors(found, "layers"),
            annotations=_strings(found, "annotations"),
            artifact_type=_text(found, "artifactType"),
            subject=_descriptor(subject, "subject") if subject is not None else None,
        )
    raise FormatError(f"a document of type {str(kind)[:80]!r} is neither a manifest nor an index")


def candidates(index: Index, wanted: Platform) -> tuple[Descriptor, ...]:
    """The entries to look at, in order: those for the platform, then further indexes that may hold it.

    An index whose only entry names no platform has nothing to choose from: the entry is taken.
    """
    matching = [entry for entry in index.entries if entry.platform and wanted.accepts(entry.platform)]
    nested = [entry for entry in index.entries if entry.media_type in INDEXES and not entry.platform]
    if not matching and not nested and len(index.entries) == 1 and index.entries[0].platform is None:
        return index.entries
    return (*matching, *nested)


def shown_platforms(entries: Iterable[Descriptor]) -> str:
    """The platforms of index entries for a message. Attestations (`unknown/unknown`) are none."""
    names = {str(entry.platform) for entry in entries if entry.platform and entry.platform.os != "unknown"}
    return ", ".join(sorted(names)[:20]) or "none"


def _descriptors(document: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    found = document.get(key)
    found = [] if found is None else found
    if not isinstance(found, list) or len(found) > _MAX_ENTRIES:
        raise FormatError(f"'{key}' of the manifest is not a list of at most {_MAX_ENTRIES} entries")
    return tuple(_descriptor(entry, f"{key}[{number}]") for number, entry in enumerate(found))


def _descriptor(found: object, where: str) -> Descriptor:
    if not isinstance(found, dict):
        raise FormatError(f"'{where}' of the manifest is not an object")
    size, digest = found.get("size"), found.get("digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise FormatError(f"'{where}.size' of the manifest is not a size")
    if not isinstance(digest, str):
        raise FormatError(f"'{where}.digest' of the manifest is missing")
    hasher(digest)
    platform = found.get("platform")
    return Descriptor(
        media_type=_text(found, "mediaType") or "",
        digest=digest,
        size=size,
        annotations=_strings(found, "annotations"),
        platform=_platform(platform) if isinstance(platform, dict) else None,
        artifact_type=_text(found, "artifactType"),
    )


def _platform(found: dict[str, Any]) -> Platform:
    return Platform(*(_text(found, key) or "" for key in ("os", "architecture", "variant")))


def _text(found: dict[str, Any], key: str) -> str | None:
    value = found.get(key)
    if value is not None and not (isinstance(value, str) and value.isprintable()):
        raise FormatError(f"'{key}' of the manifest is not a line of text")
    return value


def _strings(found: dict[str, Any], key: str) -> dict[str, str]:
    value = found.get(key)
    value = {} if value is None else value
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise FormatError(f"'{key}' of the manifest is not a mapping to text")
    return value
