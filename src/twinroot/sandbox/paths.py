"""Paths of an image seen from outside it."""

from __future__ import annotations

from pathlib import Path

from twinroot.errors import InputError


def resolve_inside(root: Path, path: str) -> Path:
    """A path of the image with its symbolic links followed as the image would, never leading outside the tree."""
    current = root
    parts = [part for part in path.split("/") if part not in ("", ".")]
    followed = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            current = current.parent if current != root else root
            continue
        step = current / part
        if step.is_symlink():
            followed += 1
            if followed > 40:
                raise InputError(f"{path} of the image is a loop of symbolic links")
            link = str(step.readlink())
            if link.startswith("/"):
                current = root
            parts = [p for p in link.split("/") if p and p != "."] + parts
            continue
        current = step
    return current


def place_file(root: Path, path: str, content: str | bytes, *, follow: bool = False) -> Path:
    """Write a file at a path of the image, where nothing of the host can be reached; returns where it is.

    Whatever is there that is no plain file gives way to a new file of mode 0644: a pipe or a device that a base image
    may hold must not be opened. With `follow`, a plain file keeps its mode, and a link leads, inside the image, to the
    file that is written; without, the file is always new. Text that was read with surrogates is written as it was.
    """
    directory, name = path.rsplit("/", 1)
    target = resolve_inside(root, path) if follow else resolve_inside(root, directory) / name
    if target.is_dir() and not target.is_symlink():
        raise InputError(f"{path} of the image is a directory, where a file is to be written")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path} of the image cannot be written: what should hold it is no directory") from error
    new = not follow or not target.is_file()
    if new:
        target.unlink(missing_ok=True)
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
    target.write_bytes(data)
    if new:
        target.chmod(0o644)
    return target
