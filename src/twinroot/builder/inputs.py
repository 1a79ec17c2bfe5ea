"""What an image is made from, as hashes: the configuration with all it names, the base image, local packages.

Paths do not count, only what is there: a build in another directory has the same inputs. What package managers fetch
from a network is not known before they do, and is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from twinroot import __version__
from twinroot.builder.digests import Digests
from twinroot.builder.request import CustomizeRequest
from twinroot.config.image.host_paths import Kind
from twinroot.errors import InputError


def input_hashes(request: CustomizeRequest, image_file: Path) -> Iterator[tuple[str, str]]:
    """Every input: its role and a digest of it, in a fixed order. InputError for what cannot be read."""
    digests = Digests()
    yield "twinroot", __version__
    for index, file in enumerate(request.config.files):
        yield f"config {index}", _readable(digests.content, file.path)
        for found in file.paths:
            if found.kind in (Kind.FILE, Kind.DIRECTORY, Kind.LIST) and found.key[0] != "input":
                digest = partial(digests.copied, times=False) if found.copied else digests.content
                yield ".".join(map(str, ("config", index, *found.key))), _readable(digest, file.resolve(found.path))
    yield "base", _readable(digests.content, image_file)
    for index, source in enumerate(request.rpm_sources):
        yield f"packages {index}", _readable(digests.contents if source.is_dir() else digests.content, source)
    yield "base repositories", str(request.base_repositories)


def _readable(digest: Callable[[Path], str], path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise InputError(f"an input cannot be read: {error.strerror}", where=str(error.filename or path)) from error
