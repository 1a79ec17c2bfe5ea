"""Paths of an image seen from outside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twinroot.errors import InputError

_MAX_TEXT = 32 * 1024 * 1024  # bytes; far beyond any configuration file, and nothing that fills the memory


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


def place_file(root: Path, path: str, text: str, *, follow: bool = False) -> Path:
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
    target.write_text(text, errors="surrogateescape")
    if new:
        target.chmod(0o644)
    return target


def read_text(root: Path, path: str) -> str | None:
    """The text of a file at a path of the image, links followed inside it; None when there is none.

    InputError for what is no plain file: a pipe or a device that a base image may hold must not be opened. Bytes that
    are no UTF-8 become surrogates, so that `place_file` writes them as they were.
    """
    target = resolve_inside(root, path)
    try:
        status = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} of the image is no plain file")
    if status.st_size > _MAX_TEXT:
        raise InputError(f"{path} of the image has {status.st_size} bytes, too many for a text file")
    return target.read_bytes().decode("utf-8", "surrogateescape")


def place_directory(root: Path, path: str) -> Path:
    """Make a directory, and those above it, at a path of the image, links followed inside it; returns where it is."""
    target = resolve_inside(root, path)
    missing = [each for each in (target, *target.parents) if each.is_relative_to(root) and not each.exists()]
    try:
        for directory in reversed(missing):
            directory.mkdir()
            directory.chmod(0o755)
    except (FileExistsError, NotADirectoryError):
        pass
    if not target.is_dir():
        raise InputError(f"{path} of the image cannot be a directory: there is a file in its way")
    return target


def remove_inside(root: Path, path: str) -> bool:
    """Remove what is at a path of the image, a directory with everything in it; whether there was something.

    A link at the path itself is removed, never what it leads to. A mount point in it stays, emptied.
    """
    directory, name = path.rstrip("/").rsplit("/", 1)
    target = resolve_inside(root, directory) / name
    if target.is_dir() and not target.is_symlink():
        _remove_tree(target)
        return True
    there = target.is_symlink() or target.exists()
    target.unlink(missing_ok=True)
    return there


def _remove_tree(directory: Path) -> None:
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(Path(entry.path))
        else:
            Path(entry.path).unlink()
    if not directory.is_mount():
        directory.rmdir()
