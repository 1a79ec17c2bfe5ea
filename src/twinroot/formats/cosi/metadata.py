"""`metadata.json`: reading it with all its rules, writing it, and the value that protects it.

COSI hashes every image but not the document that holds the hashes. Files that we write carry one more field, last in
the document, which other readers ignore as they must ignore every unknown field:

    "integrity": {"sha384": "<96 lower-case hex digits>"}

It is the SHA-384 of the whole member, the spaces that pad it included, computed with 96 zeros ("0") in place of the
digits. A reader that knows it so notices any change to the document. That the field belongs there at all is said a
second time outside of the document: the tar header of `metadata.json` names the owner `twinroot`, so that damage to
the field's name cannot make it disappear unnoticed. It is a check against accidents; whoever wants to be sure of the
origin compares the SHA-384 of the whole member with one obtained elsewhere (`image.sha384` of a Host Configuration).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twinroot.errors import FormatError
from twinroot.formats.cosi import model, rules
from twinroot.formats.cosi.decode import decode, has_too_many_values
from twinroot.formats.cosi.model import Finding, Metadata

# The owner name in the tar header of a `metadata.json` with an integrity field.
INTEGRITY_OWNER = "twinroot"
_DIGITS = 96
_PLACEHOLDER = "0" * _DIGITS


class MetadataError(FormatError):
    """A document that breaks rules; `findings` has every one of them, warnings included."""

    def __init__(self, findings: Sequence[Finding], *, where: str | None = None) -> None:
        self.findings = tuple(findings)
        errors = [str(finding) for finding in findings if finding.error]
        super().__init__("invalid COSI metadata:\n  " + "\n  ".join(errors), where=where)


@dataclass(frozen=True)
class Inspection:
    """The outcome of reading a document: `metadata` is None if its structure could not be read."""

    metadata: Metadata | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing worse than a warning was found."""
        return self.metadata is not None and not any(finding.error for finding in self.findings)


def inspect(text: bytes, *, strict: bool) -> Inspection:
    """Read a document and find everything that is wrong with it. Never raises for bad input."""
    metadata, raw, findings = decode(text)
    if metadata is not None:
        findings = [*findings, *rules.check(metadata, raw, strict=strict)]
    return Inspection(metadata, tuple(findings))


def parse(text: bytes, *, strict: bool = False) -> Metadata:
    """Read a document. Raises MetadataError with all violations; warnings are dropped (see `inspect`)."""
    inspection = inspect(text, strict=strict)
    if inspection.metadata is None or not inspection.ok:
        raise MetadataError(inspection.findings)
    return inspection.metadata


def to_json(metadata: Metadata) -> bytes:
    """The document, indented by two spaces, keys in the order of the specification, ending in a newline."""
    return _text(_root(metadata))


def sealed(metadata: Metadata, size: int | None = None) -> bytes:
    """The document with its integrity field, padded with spaces to `size` bytes (None: no padding).

    Raises FormatError if it does not fit.
    """
    text = _text(_root(metadata) | {"integrity": {"sha384": _PLACEHOLDER}})
    if size is not None and len(text) > size:
        raise FormatError(f"metadata.json needs {len(text)} bytes, but only {size} are reserved")
    text = text.ljust(size or 0, b" ")
    # The field comes last in the document, so the last such digits are its own.
    at = text.rindex(_PLACEHOLDER.encode())
    return text[:at] + hashlib.sha384(text).hexdigest().encode() + text[at + _DIGITS :]


def integrity_problem(text: bytes, *, required: bool) -> str | None:
    """Why the integrity field does not fit the member's bytes; None if it does, or if it is absent and may be."""
    if has_too_many_values(text):
        return "is too large to be looked at"
    try:
        root = json.loads(text)
        field = root.get("integrity") if isinstance(root, dict) else None
        value = field.get("sha384") if isinstance(field, dict) else None
    except (ValueError, RecursionError):
        return "is not valid JSON"
    if value is None:
        return "has lost its integrity field" if required else None
    if not isinstance(value, str) or len(value) != _DIGITS:
        return "has a damaged integrity field"
    at = text.rfind(value.encode("utf-8", "replace"))
    blanked = text[:at] + _PLACEHOLDER.encode() + text[at + _DIGITS :]
    if at < 0 or hashlib.sha384(blanked).hexdigest() != value:
        return "was changed after it was written (its integrity value does not match)"
    return None


def _text(root: dict[str, Any]) -> bytes:
    return json.dumps(root, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _root(metadata: Metadata) -> dict[str, Any]:
    root: dict[str, Any] = {
        "version": f"{metadata.version[0]}.{metadata.version[1]}",
        "osArch": metadata.os_arch,
        "id": str(metadata.id) if metadata.id else None,
        "compression": {"maxWindowLog": metadata.max_window_log} if metadata.max_window_log is not None else None,
        "disk": _disk(metadata.disk) if metadata.disk else None,
        "images": [_filesystem(filesystem) for filesystem in metadata.images],
        "osRelease": metadata.os_release,
        "bootloader": _bootloader(metadata.bootloader) if metadata.bootloader else None,
        "osPackages": [_package(package) for package in metadata.packages] if metadata.packages is not None else None,
    }
    return {key: value for key, value in root.items() if value is not None}


def _image(image: model.ImageFile) -> dict[str, Any]:
    return {
        "path": image.path,
        "compressedSize": image.compressed_size,
        "uncompressedSize": image.uncompressed_size,
        "sha384": image.sha384,
    }


def _disk(disk: model.Disk) -> dict[str, Any]:
    regions = []
    for region in disk.regions:
        number = {"number": region.number} if region.number is not None else {}
        regions.append({"image": _image(region.image), "type": region.type} | number)
    return {"size": disk.size, "type": disk.type, "lbaSize": disk.lba_size, "gptRegions": regions}


def _filesystem(filesystem: model.Filesystem) -> dict[str, Any]:
    verity = filesystem.verity
    offset = {"hashOffset": verity.hash_offset} if verity and verity.hash_offset is not None else {}
    return {
        "image": _image(filesystem.image),
        "mountPoint": filesystem.mount_point,
        "fsType": filesystem.fs_type,
        "fsUuid": filesystem.fs_uuid,
        "partType": str(filesystem.part_type),
        "verity": {"image": _image(verity.image), "roothash": verity.roothash} | offset if verity else None,
    }


def _package(package: model.Package) -> dict[str, Any]:
    fields = {"name": package.name, "version": package.version, "release": package.release, "arch": package.arch}
    return {key: value for key, value in fields.items() if value is not None}


def _bootloader(bootloader: model.Bootloader) -> dict[str, Any]:
    if bootloader.entries is None:
        return {"type": bootloader.type}
    entries = [
        {"type": entry.type, "path": entry.path, "cmdline": entry.cmdline, "kernel": entry.kernel}
        for entry in bootloader.entries
    ]
    return {"type": bootloader.type, "systemdBoot": {"entries": entries}}
