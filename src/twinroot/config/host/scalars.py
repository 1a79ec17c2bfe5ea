"""Scalar syntaxes that only host configurations have (host-config spec, section 1.2).

Sizes are in bytes. Types that are written in another form than they are kept in say so in `PlainSerializer`s.
"""

from __future__ import annotations

import re
from functools import partial
from posixpath import normpath
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import PlainSerializer, WithJsonSchema

from twinroot.config.problems import quoted
from twinroot.config.scalars import ScalarError, from_text
from twinroot.units import GIB, KIB, MIB, TIB

_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SIZE = re.compile(r"([0-9]+)[ \t]*([KMGT]?)")
_SHA384 = re.compile(r"[0-9a-fA-F]{96}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WEB_SCHEMES = ("http", "https", "ftp", "ws", "wss")
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_MAX_SIZE = 2**64 - 1

PARTITION_ALIGNMENT = 4096
"""Bytes; sizes of partitions are multiples of it."""


def byte_count(text: str) -> int:
    """Bytes of `4096`, `4K`, `4 K`."""
    found = _SIZE.fullmatch(text.strip(" \t"))
    if not found:
        hint = "write digits and one of K, M, G, T (powers of 1024), for example 512M or 4G"
        raise ScalarError(f"{quoted(text)} is not a size", hint)
    digits, unit = found.groups()
    if len(digits) > 20 or int(digits) * _UNITS[unit] > _MAX_SIZE:
        raise ScalarError(f"the size {quoted(text)} is out of range", "it must be below 16 EiB")
    return int(digits) * _UNITS[unit]


def show_bytes(size: int) -> int | str:
    """A size as the peer writes it: with the largest suffix that is exact, a number where there is none."""
    for suffix in ("T", "G", "M", "K"):
        if size and size % _UNITS[suffix] == 0:
            return f"{size // _UNITS[suffix]}{suffix}"
    return size


def partition_size(text: str) -> int | str:
    """Bytes of a size that is not zero and a multiple of 4096, or `grow`."""
    if text == "grow":
        return text
    size = byte_count(text)
    if size == 0 or size % PARTITION_ALIGNMENT:
        message = f"the size {quoted(text)} is not a multiple of 4K larger than zero"
        raise ScalarError(message, code="basic-check-failed")
    return size


def sha384(text: str) -> str:
    """96 hexadecimal digits, in lower case."""
    if not _SHA384.fullmatch(text):
        raise ScalarError(f"{quoted(text)} is not a SHA-384 hash", "write its 96 hexadecimal digits")
    return text.lower()


def image_sha384(text: str) -> str:
    """A hash, or `ignored`."""
    if text == "ignored":
        return text
    try:
        return sha384(text)
    except ScalarError as error:
        raise ScalarError(error.message, f"{error.hint}, or ignored") from None


def uuid(text: str) -> str:
    """A UUID in lower case."""
    if not _UUID.fullmatch(text):
        raise ScalarError(f"{quoted(text)} is not a UUID", "write it as xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
    return str(UUID(text))


def url(text: str) -> str:
    """An absolute URL. A bare path is none, although some tutorials of the peer show it."""
    if text.startswith("/"):
        raise ScalarError(f"{quoted(text)} is a path, not a URL", f"write {quoted('file://' + text)}")
    if not _SCHEME.match(text) or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ScalarError(f"{quoted(text)} is not a URL", "write for example https://images.example/os.cosi")
    try:
        parts = urlsplit(text)
        port = parts.port  # raises where it is no number
    except ValueError as error:
        raise ScalarError(f"{quoted(text)} is not a URL: {error}") from None
    if parts.scheme in _WEB_SCHEMES and (not parts.hostname or port == -1):
        raise ScalarError(f"the URL {quoted(text)} names no host")
    return text


def file_url(text: str) -> str:
    """A URL with the scheme `file`."""
    found = url(text)
    if urlsplit(found).scheme != "file":
        message = f"the URL {quoted(text)} must have the scheme file"
        hint = "write for example file:///root/recovery.key"
        raise ScalarError(message, hint, "invalid-encryption-recovery-key-url-scheme")
    return found


def absolute_path(text: str, *, code: str | None = None) -> str:
    """An absolute path without parts named `..`, which the peer allows and nobody needs.

    `code` is the peer's name for one that is relative.
    """
    if not text.startswith("/"):
        raise ScalarError(f"the path {quoted(text)} must be absolute", f"write {quoted('/' + text)}", code)
    if ".." in text.split("/") or "\0" in text:
        raise ScalarError(f"the path {quoted(text)} may not contain '..'")
    return text


def usual_spelling(path: str) -> str:
    """An absolute path without repeated slashes and parts named `.`, so that paths can be compared.

    POSIX keeps two slashes at the beginning; for Linux they are one.
    """
    return normpath("/" + path.lstrip("/"))


def mount_path(text: str) -> str:
    """An absolute path that fstab can hold."""
    if re.search(r"\s", text):
        raise ScalarError(f"the path {quoted(text)} may not contain white space")
    return absolute_path(text, code="mount-point-path-not-absolute")


def file_permissions(text: str) -> str:
    """Permission bits as octal digits that begin with 0, at most 0777. YAML tools take 644 for a decimal number."""
    code = "additional-file-invalid-permissions"
    if not re.fullmatch(r"0[0-7]{0,11}", text):
        hint = 'write octal digits that begin with 0, in quotes, for example "0644"'
        raise ScalarError(f"{quoted(text)} are not permissions", hint, code)
    if int(text, 8) > 0o777:
        raise ScalarError(f"{quoted(text)} contains bits that are not permissions", 'use at most "0777"', code)
    return text


def device_name(text: str) -> str:
    """A name below /dev/mapper or /dev/md: one part of a path, which the peer does not check."""
    if not re.fullmatch(r"[^/\s\x00-\x1f\x7f]{1,127}", text) or text in (".", ".."):
        raise ScalarError(f"{quoted(text)} is not a device name", "use letters, digits, hyphens and underscores")
    return text


def switch(text: str) -> bool:
    """`true` or `false`, as YAML 1.2 has them: the peer takes yes and on for text."""
    if text not in _TRUE + _FALSE:
        raise ScalarError(f"{quoted(text)} is neither true nor false", "write true or false")
    return text in _TRUE


_SIZE_SCHEMA = {"type": ["string", "integer"], "pattern": r"^\s*\d+\s*[KMGT]?\s*$", "examples": ["512M", "4G"]}
_ANY_TEXT = {"type": ["string", "number", "boolean"]}

DeviceId = Annotated[str, from_text(str), WithJsonSchema({"type": ["string", "number"], "examples": ["root-a"]})]
"""The id of a disk, partition, array, …; all of them share one name space."""
Size = int | Literal["grow"]
PartitionSize = Annotated[
    Size,
    from_text(partition_size),
    PlainSerializer(lambda size: size if size == "grow" else show_bytes(size)),
    WithJsonSchema({"anyOf": [{"enum": ["grow"]}, _SIZE_SCHEMA], "examples": ["512M", "4G", "grow"]}),
]
Sha384 = Annotated[
    str, from_text(sha384), WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{96}$", "examples": ["0f3c…"]})
]
ImageSha384 = Annotated[
    str,
    from_text(image_sha384),
    WithJsonSchema({"type": "string", "pattern": "^(ignored|[0-9a-fA-F]{96})$", "examples": ["ignored", "0f3c…"]}),
]
Uuid = Annotated[
    str,
    from_text(uuid),
    WithJsonSchema({"type": "string", "pattern": f"^{_UUID.pattern}$", "examples": ["2f1e0c3a-…"]}),
]
_URL_SCHEMA = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]*:\\S*$"}
Url = Annotated[str, from_text(url), WithJsonSchema({**_URL_SCHEMA, "examples": ["https://images.example/os.cosi"]})]
FileUrl = Annotated[
    str, from_text(file_url), WithJsonSchema({**_URL_SCHEMA, "examples": ["file:///root/recovery.key"]})
]
_PATH_SCHEMA = {"type": "string", "pattern": "^/"}
AbsolutePath = Annotated[str, from_text(absolute_path), WithJsonSchema({**_PATH_SCHEMA, "examples": ["/var/lib/a"]})]
DiskPath = Annotated[
    str,
    from_text(partial(absolute_path, code="basic-check-failed")),
    WithJsonSchema({**_PATH_SCHEMA, "examples": ["/dev/disk/by-path/pci-0000:00:1f.2-ata-2"]}),
]
ExtensionPath = Annotated[
    str,
    from_text(partial(absolute_path, code="extension-image-invalid-directory")),
    WithJsonSchema({**_PATH_SCHEMA, "examples": ["/var/lib/…/tools.raw"]}),
]
MountPath = Annotated[
    str, from_text(mount_path), WithJsonSchema({"type": "string", "pattern": r"^/\S*$", "examples": ["/var"]})
]
FilePermissions = Annotated[
    str,
    from_text(file_permissions),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^0[0-7]*$", "examples": ["0644"]}),
]
DeviceName = Annotated[
    str, from_text(device_name), WithJsonSchema({"type": ["string", "number"], "examples": ["luks-data"]})
]
Switch = Annotated[bool, from_text(switch), WithJsonSchema({"type": "boolean"})]
Text = Annotated[str, from_text(str), WithJsonSchema(_ANY_TEXT)]
