"""What an image is made from, as hashes: the configuration with all it names, the base image, local packages.

Paths do not count, only what is there: a build in another directory has the same inputs. What package managers fetch
from a network is not known before they do, and is not part of it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from twinroot import __version__
from twinroot.builder.request import CustomizeRequest
from twinroot.config.image.host_paths import Kind, host_paths
from twinroot.errors import InputError


def input_hashes(request: CustomizeRequest, image_file: Path) -> Iterator[tuple[str, str]]:
    """Every input: its role and the SHA-256 of its content, in a fixed order. InputError for what cannot be read."""
    yield "twinroot", __version__
    for index, file in enumerate(request.config.files):
        yield f"config {index}", tree_hash(file.path)
        for found in host_paths(file.config):
            if found.kind in (Kind.FILE, Kind.DIRECTORY, Kind.LIST) and found.key[0] != "input":
                yield ".".join(map(str, ("config", index, *found.key))), tree_hash(file.resolve(found.path))
    yield "base", tree_hash(image_file)
    for index, source in enumerate(request.rpm_sources):
        yield f"packages {index}", tree_hash(source)
    yield "base repositories", str(request.base_repositories)


def tree_hash(path: Path) -> str:
    """SHA-256 in hex of a file, or of a directory's names, modes and contents; symbolic links inside it are followed.

    Followed only to files; links to directories count by where they lead, as a circle of them would have no end.
    """
    try:
        if not path.is_dir():
            return _file_hash(path)
        digest = hashlib.sha256()
        for directory, names, files in os.walk(path):
            names.sort()
            links = [name for name in names if Path(directory, name).is_symlink()]
            for name in sorted((*files, *links)):
                entry = Path(directory, name)
                mode, content = _entry(entry)
                digest.update(f"{entry.relative_to(path)}\0{mode:o}\0{content}\0".encode("utf-8", "surrogateescape"))
            digest.update(f"{Path(directory).relative_to(path)}\0\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    except OSError as error:
        raise InputError(f"an input cannot be read: {error.strerror}", where=str(error.filename or path)) from error


def _entry(path: Path) -> tuple[int, str]:
    """Mode and content; of what is no file only its kind and where it leads."""
    if path.is_file():
        return path.stat().st_mode, _file_hash(path)
    status = path.lstat()
    return status.st_mode, os.fsdecode(path.readlink()) if stat.S_ISLNK(status.st_mode) else ""


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
