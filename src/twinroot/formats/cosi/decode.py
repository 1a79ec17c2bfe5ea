"""From JSON text to `Metadata`: the structural rules M1 to M4 and S1 to S11 of the COSI spec (9.2, 9.3).

Every violation is collected with its JSON path. Unknown fields are ignored on every level. A field that is null
counts as absent where the spec allows it to be absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from twinroot.formats.cosi import model
from twinroot.formats.cosi.model import Finding
from twinroot.units import ARCHITECTURES, PARTITION_TYPES, partition_type_names

T = TypeVar("T")
Json = dict[str, Any]

U32, U64 = 2**32 - 1, 2**64 - 1
# What Linux takes for the length of a file or disk (off_t).
_LONGEST = 2**63 - 1
# A document of ten thousand packages has a tenth of it. Empty lists take twenty times their text once they are read.
_MOST_VALUES = 500_000
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_SHA384 = re.compile(r"[0-9a-f]{96}", re.ASCII | re.IGNORECASE)
# Those that mean something on some level: of two of a name, readers may take either.
_FIELDS = frozenset(
    "version osArch osRelease images disk osPackages bootloader id compression integrity "  # noqa: SIM905
    "image mountPoint fsType fsUuid partType verity roothash hashOffset path compressedSize uncompressedSize sha384 "
    "size type lbaSize gptRegions number name release arch systemdBoot entries cmdline kernel maxWindowLog".split()
)


def decode(text: bytes) -> tuple[model.Metadata | None, Json, list[Finding]]:
    """Decode a document. Returns the metadata (None after any error), the raw object and the violations."""
    found: list[Finding] = []
    root = _load(text, found)
    if root is None:
        return None, {}, found
    walk = _Walk(found)
    version = _version(root, walk)
    if version is None:
        return None, root, found
    metadata = _metadata(root, version, walk)
    return (None if found else metadata), root, found


def parse_uuid(text: str) -> UUID | None:
    """A UUID in its usual spelling with hyphens, in either case; None for anything else."""
    return UUID(text) if _UUID.fullmatch(text) else None


@dataclass
class _Walk:
    """Reads typed fields from JSON objects; what is wrong becomes a finding and a neutral value."""

    found: list[Finding] = field(default_factory=list)

    def bad(self, rule: str, path: str, message: str) -> None:
        self.found.append(Finding(rule, path, message))

    def get(self, obj: Json, key: str, kind: type[T], path: str, rule: str, neutral: T) -> T:
        """A required field of the given type."""
        if key not in obj:
            self.bad(rule, f"{path}.{key}", "is missing")
            return neutral
        value = self.optional(obj, key, kind, path, rule)
        if value is None and obj[key] is None:
            self.bad(rule, f"{path}.{key}", "must not be null")
        return neutral if value is None else value

    def optional(self, obj: Json, key: str, kind: type[T], path: str, rule: str) -> T | None:
        """A field that may be absent or null."""
        value = obj.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or isinstance(value, bool):
            self.bad(rule, f"{path}.{key}", f"must be {_KINDS[kind]}")
            return None
        return value

    def text(self, obj: Json, key: str, path: str, rule: str) -> str:
        return self.get(obj, key, str, path, rule, "")

    def number(self, obj: Json, key: str, path: str, rule: str, most: int) -> int:
        return self.in_range(self.get(obj, key, int, path, rule, 0), f"{path}.{key}", rule, most)

    def in_range(self, value: int, path: str, rule: str, most: int) -> int:
        if not 0 <= value <= most:
            self.bad(rule, path, f"must lie between 0 and {most}")
        return value

    def each(self, values: list[Any], path: str, rule: str, read: Callable[[Json, str], T]) -> tuple[T, ...]:
        """Read the objects of an array."""
        result = []
        for index, value in enumerate(values):
            if isinstance(value, dict):
                result.append(read(value, f"{path}[{index}]"))
            else:
                self.bad(rule, f"{path}[{index}]", "must be an object")
        return tuple(result)


_KINDS: dict[type, str] = {str: "a string", int: "a whole number", dict: "an object", list: "an array"}


def has_too_many_values(text: bytes) -> bool:
    """Whether reading a document would take absurdly much memory."""
    return sum(text.count(mark) for mark in (b",", b"[", b"{")) > _MOST_VALUES


def _load(text: bytes, found: list[Finding]) -> Json | None:
    """The root object of the text."""
    if has_too_many_values(text):
        found.append(Finding("M1", "$", f"has more than {_MOST_VALUES} values"))
        return None
    try:
        loaded = json.loads(text.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_no_constant)
        json.dumps(loaded, ensure_ascii=False).encode("utf-8")  # lone surrogates, written as \\ud800, end here
    except UnicodeDecodeError as error:
        found.append(Finding("M1", "$", f"is not UTF-8 text (byte {error.start})"))
        return None
    except (ValueError, RecursionError) as error:
        found.append(Finding("M1", "$", f"is not valid JSON: {error}"))
        return None
    if not isinstance(loaded, dict):
        found.append(Finding("M1", "$", "must be an object"))
        return None
    return loaded


def _pairs(pairs: list[tuple[str, Any]]) -> Json:
    obj = dict(pairs)
    if len(obj) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen and name in _FIELDS:
                raise ValueError(f"the field '{name}' appears twice")
            seen.add(name)
    return obj


def _no_constant(name: str) -> Any:
    raise ValueError(f"'{name}' is not a JSON value")


def _version(root: Json, walk: _Walk) -> model.Version | None:
    """Comes first: a document of an unknown major version need not otherwise be valid."""
    text = walk.text(root, "version", "$", "M3")
    match = _VERSION.fullmatch(text)
    if walk.found:
        return None
    if not match or max(len(part) for part in match.groups()) > 10 or max(map(int, match.groups())) > U32:
        walk.bad("M3", "$.version", f"must be MAJOR.MINOR, not '{text}'")
        return None
    major, minor = map(int, match.groups())
    if major != 1:
        walk.bad("M4", "$.version", f"COSI version {text} is not supported, only 1.x is")
        return None
    return major, minor


def _metadata(root: Json, version: model.Version, walk: _Walk) -> model.Metadata:
    arch_text = walk.text(root, "osArch", "$", "S1")
    arch = ARCHITECTURES.get(arch_text.lower())
    if arch is None and isinstance(root.get("osArch"), str):
        walk.bad("S1", "$.osArch", f"unknown architecture '{arch_text}'")
    os_release = walk.text(root, "osRelease", "$", "S2")
    images = walk.get(root, "images", list, "$", "S3", [])
    disk = walk.optional(root, "disk", dict, "$", "S10")
    packages = walk.optional(root, "osPackages", list, "$", "S7")
    bootloader = walk.optional(root, "bootloader", dict, "$", "S9")
    compression = walk.optional(root, "compression", dict, "$", "S11")
    return model.Metadata(
        version,
        arch or "",
        os_release,
        walk.each(images, "$.images", "S3", lambda obj, path: _filesystem(obj, path, arch, walk)),
        _disk(disk, walk) if disk is not None else None,
        walk.each(packages, "$.osPackages", "S7", lambda obj, path: _package(obj, path, walk))
        if packages is not None
        else None,
        _bootloader(bootloader, walk) if bootloader is not None else None,
        _id(root, walk),
        walk.number(compression, "maxWindowLog", "$.compression", "S11", U32) if compression is not None else None,
    )


def _id(root: Json, walk: _Walk) -> UUID | None:
    text = walk.optional(root, "id", str, "$", "S8")
    value = parse_uuid(text) if text is not None else None
    if text is not None and value is None:
        walk.bad("S8", "$.id", f"'{text}' is not a UUID")
    return value


def _image(obj: Json, key: str, path: str, rule: str, walk: _Walk) -> model.ImageFile:
    image = walk.get(obj, key, dict, path, rule, {})
    if not image and not isinstance(obj.get(key), dict):
        return model.ImageFile("", 0, 0, "")
    path = f"{path}.{key}"
    sha384 = walk.text(image, "sha384", path, "S4")
    if isinstance(image.get("sha384"), str) and not _SHA384.fullmatch(sha384):
        walk.bad("S4", f"{path}.sha384", "must be 96 hexadecimal digits")
    compressed = walk.number(image, "compressedSize", path, "S4", U64)
    uncompressed = walk.number(image, "uncompressedSize", path, "S4", _LONGEST)
    return model.ImageFile(walk.text(image, "path", path, "S4"), compressed, uncompressed, sha384.lower())


def _filesystem(obj: Json, path: str, arch: str | None, walk: _Walk) -> model.Filesystem:
    image = _image(obj, "image", path, "S3", walk)
    mount_point = walk.text(obj, "mountPoint", path, "S3")
    fs_type = walk.text(obj, "fsType", path, "S3")
    if isinstance(obj.get("fsType"), str) and fs_type not in model.FILESYSTEM_TYPES:
        walk.bad("S5", f"{path}.fsType", f"unknown filesystem type '{fs_type}'")
    fs_uuid = walk.text(obj, "fsUuid", path, "S3")
    type_text = walk.text(obj, "partType", path, "S3")
    part_type = parse_uuid(type_text) or _named_type(type_text, arch)
    if part_type is None and isinstance(obj.get("partType"), str):
        walk.bad("S5", f"{path}.partType", f"'{type_text}' is neither a UUID nor a known partition type")
    verity = walk.optional(obj, "verity", dict, path, "S6")
    return model.Filesystem(
        image,
        mount_point,
        fs_type,
        fs_uuid,
        part_type or UUID(int=0),
        _verity(verity, f"{path}.verity", walk) if verity is not None else None,
    )


def _named_type(name: str, arch: str | None) -> UUID | None:
    """The names of COSI spec 3.11: `root` means that of the image's architecture, `root-arm64` a certain one's."""
    for architecture, suffix in (("x86_64", "-x86-64"), ("arm64", "-arm64")):
        for base, uuid in partition_type_names(architecture).items():
            head, dash, tail = base.partition("-")
            if base not in PARTITION_TYPES and f"{head}{suffix}{dash}{tail}" == name:
                return uuid
    return partition_type_names(arch or "x86_64").get(name) if name != "bios-grub" else None


def _verity(obj: Json, path: str, walk: _Walk) -> model.Verity:
    image = _image(obj, "image", path, "S6", walk)
    roothash = walk.text(obj, "roothash", path, "S6")
    # The reference reader does not know this field, so nothing about it can make a file unacceptable.
    offset = obj.get("hashOffset")
    return model.Verity(image, roothash, offset if type(offset) is int and 0 <= offset <= U64 else None)


def _disk(obj: Json, walk: _Walk) -> model.Disk:
    path = "$.disk"
    size = walk.number(obj, "size", path, "S10", _LONGEST)
    kind = walk.text(obj, "type", path, "S10")
    lba_size = walk.number(obj, "lbaSize", path, "S10", U32)
    regions = walk.optional(obj, "gptRegions", list, path, "S10") or []
    return model.Disk(
        size, kind, lba_size, walk.each(regions, f"{path}.gptRegions", "S10", lambda o, p: _region(o, p, walk))
    )


def _region(obj: Json, path: str, walk: _Walk) -> model.Region:
    image = _image(obj, "image", path, "S10", walk)
    kind = walk.text(obj, "type", path, "S10")
    number = walk.number(obj, "number", path, "S10", U32) if kind == "partition" else None
    return model.Region(image, kind, number)


def _package(obj: Json, path: str, walk: _Walk) -> model.Package:
    name = walk.text(obj, "name", path, "S7")
    version = walk.text(obj, "version", path, "S7")
    release = walk.optional(obj, "release", str, path, "S7")
    arch = walk.optional(obj, "arch", str, path, "S7")
    if arch is not None and arch not in model.NO_ARCHITECTURE and arch.lower() not in ARCHITECTURES:
        walk.bad("S7", f"{path}.arch", f"unknown architecture '{arch}' of package '{name}'")
    return model.Package(name, version, release, arch)


def _bootloader(obj: Json, walk: _Walk) -> model.Bootloader:
    kind = walk.text(obj, "type", "$.bootloader", "S9")
    systemd = walk.optional(obj, "systemdBoot", dict, "$.bootloader", "S9")
    if systemd is None:
        return model.Bootloader(kind)
    path = "$.bootloader.systemdBoot"
    entries = walk.get(systemd, "entries", list, path, "S9", [])
    return model.Bootloader(kind, walk.each(entries, f"{path}.entries", "S9", lambda o, p: _entry(o, p, walk)))


def _entry(obj: Json, path: str, walk: _Walk) -> model.BootEntry:
    kind, place, cmdline, kernel = (walk.text(obj, key, path, "S9") for key in ("type", "path", "cmdline", "kernel"))
    return model.BootEntry(kind, place, cmdline, kernel)
