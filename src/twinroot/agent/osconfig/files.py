"""`os.additionalFiles`: read while a machine is prepared, written when it is configured (host-config spec, 7.4)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.blame import blaming
from twinroot.config.host.files import AdditionalFile
from twinroot.sandbox.paths import open_new
from twinroot.units import MIB, exact

_DEFAULT_MODE = 0o664
_MAX_FILE = 256 * MIB
"""Files are kept in memory until they are written."""


@dataclass(frozen=True)
class LoadedFile:
    """A file to write: where in the new system, what, and with which permissions; `key` is its place in messages."""

    key: str
    destination: str
    content: bytes
    mode: int


def load_files(files: Sequence[AdditionalFile]) -> tuple[LoadedFile, ...]:
    """Read what is to be copied; ServicingError for the first that cannot be read."""
    return tuple(_load(file, f"os.additionalFiles[{index}]") for index, file in enumerate(files))


def write_files(root: Path, files: Sequence[LoadedFile]) -> None:
    """Write the files into a tree; they belong to root. ServicingError names the entry at fault."""
    for file in files:
        key = f"{file.key} ({file.destination})"
        with blaming("write-additional-file", key), open_new(root, file.destination) as target:
            target.write(file.content)
            os.fchmod(target.fileno(), file.mode)


def _load(file: AdditionalFile, key: str) -> LoadedFile:
    wanted = None if file.permissions is None else int(file.permissions, 8)
    if file.source is None:
        text = (file.content or "").encode("utf-8", "surrogatepass")
        return LoadedFile(key, file.destination, text, _DEFAULT_MODE if wanted is None else wanted)
    content, mode = _read(file.source, key)
    return LoadedFile(key, file.destination, content, mode if wanted is None else wanted)


def _read(source: str, key: str) -> tuple[bytes, int]:
    """The content and permissions of a plain file; links are followed, as the file is the administrator's own."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(key, source, error.strerror or str(error)) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _unreadable(key, source, "it is no plain file")
    with os.fdopen(descriptor, "rb") as opened:
        content = opened.read(_MAX_FILE + 1)
    if len(content) > _MAX_FILE:
        raise _unreadable(key, source, f"it is larger than {exact(_MAX_FILE)}")
    return content, stat.S_IMODE(status.st_mode) & 0o777


def _unreadable(key: str, source: str, why: str) -> ServicingError:
    message = f"{key}: {source} cannot be read: {why}"
    return ServicingError("invalid-host-configuration-dynamic", message, inner="load-additional-file")
