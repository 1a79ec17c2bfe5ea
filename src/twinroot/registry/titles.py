"""Names of files that a manifest gives: only names below the output directory are accepted. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from twinroot.errors import FormatError
from twinroot.registry.manifest import UNPACK, Descriptor

# 255 (NAME_MAX), less what the name of an unfinished file adds.
_LONGEST_PART = 255 - len(".0123456789abcdef.partial") - 1


def file_names(layers: Iterable[Descriptor]) -> dict[str, Descriptor]:
    """The layers that are files by their names, in order; FormatError for names that lead elsewhere or collide.

    A directory that the oras tools packed gets the name of the archive that it is.
    """
    found: dict[str, Descriptor] = {}
    for layer in layers:
        title = layer.title
        if title is None:
            continue
        packed = layer.annotations.get(UNPACK) == "true" and not title.endswith(".tar.gz")
        name = _checked(title) + (".tar.gz" if packed else "")
        if name in found:
            if found[name].digest == layer.digest:
                continue
            raise FormatError(f"two files of the artifact have the name {name!r}")
        found[name] = layer
    for name in found:
        above = next((str(parent) for parent in PurePosixPath(name).parents if str(parent) in found), None)
        if above:
            raise FormatError(f"{above!r} would be a file and a directory of the artifact")
    return found


def _checked(title: str) -> str:
    """A title that is a relative path and stays below where it begins."""
    parts = title.split("/")
    if not all(parts) or any(part in (".", "..") for part in parts) or not title.isprintable():
        raise FormatError(f"the artifact names a file {title[:120]!r}, which leads out of the output directory")
    if len(title.encode()) > 1024 or any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise FormatError(f"the artifact names a file {title[:60]!r}…, which is too long for a name")
    return title
