"""What a file is to a registry: media type, artifact type, annotations. By its content, not its name alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twinroot.errors import FormatError
from twinroot.formats.cosi.reader import open_cosi

ARTIFACT_TYPE = "application/vnd.twinroot.image.v1"
_COSI = "application/vnd.twinroot.cosi.v1+tar"
_DISK = "application/vnd.twinroot.disk.v1"
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# The first bytes of disk image formats, where they have some; VHD has its mark at the end.
_MAGIC = ((b"QFI\xfb", "qcow2"), (b"vhdxfile", "vhdx"))
_SUFFIXES = {".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml", ".txt": "text/plain"}


@dataclass(frozen=True)
class Media:
    """A file's media type and what annotations say about it; `is_cosi` for COSI, `architecture` in Go's naming."""

    media_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_cosi: bool = False
    architecture: str | None = None


def describe(path: Path) -> Media:
    """Look into a file; FormatError for one that is called .cosi and is none."""
    if path.suffix.lower() == ".cosi":
        return _cosi(path)
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(max(0, path.stat().st_size - 512))
        tail = file.read(8)
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return Media(f"{_DISK}+{name}")
    if tail == b"conectix":
        return Media(f"{_DISK}+vhd")
    if path.suffix.lower() in (".raw", ".img"):
        return Media(f"{_DISK}+raw")
    return Media(_SUFFIXES.get(path.suffix.lower(), "application/octet-stream"))


def _cosi(path: Path) -> Media:
    try:
        with open_cosi(path) as cosi:
            metadata = cosi.metadata
            annotations = {
                "org.twinroot.cosi.version": ".".join(map(str, metadata.version)),
                "org.twinroot.cosi.metadata-sha384": cosi.metadata_sha384,
                "org.twinroot.os.architecture": metadata.os_arch,
                "org.twinroot.os.name": _os_name(metadata.os_release),
            }
    except FormatError as error:
        hint = "only whole COSI files are pushed; look at it with: twinroot verify"
        raise FormatError(error.message, where=error.where or str(path), hint=hint) from error
    shown = {key: value for key, value in annotations.items() if value}
    return Media(_COSI, shown, is_cosi=True, architecture=_GO_NAMES.get(metadata.os_arch.lower()))


def _os_name(os_release: str) -> str:
    for line in os_release.splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip().strip("\"'")
    return ""
