"""Paths of an image seen from outside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from twinroot.errors import InputError
from twinroot.units import MIB, exact

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


def read_file(root: Path, path: str, *, limit: int = 16 * MIB) -> bytes | None:
    """The content of a plain file of the image, links followed inside it; None when there is no such file.

    Nothing else is opened: a pipe would wait for ever, a device is not the image's. InputError beyond `limit` bytes.
    """
    try:
        descriptor = os.open(resolve_inside(root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{path} of the image is larger than {exact(limit)}")
    return content


def make_directory(root: Path, path: str, mode: int = 0o755) -> Path:
    """A directory of the image. What is missing of it is made, with `mode` whatever the umask, and belongs to root."""
    target = resolve_inside(root, path)
    missing = []
    while not target.is_dir():
        missing.append(target)
        target = target.parent
    for directory in reversed(missing):
        try:
            directory.mkdir()
        except FileExistsError as error:
            raise InputError(f"{inside(root, directory)} of the image is not a directory") from error
        os.chown(directory, 0, 0)
        directory.chmod(mode)
    return missing[0] if missing else target


def open_new(root: Path, path: str, *, parents_mode: int = 0o755) -> BinaryIO:
    """A new file at a path of the image, for writing; it belongs to root, who alone may read it until told otherwise.

    Whatever is there gives way, also a link, which is not followed. InputError for directories and links to one.
    """
    target = _free_place(root, path, parents_mode)
    if target.is_symlink() and resolve_inside(root, inside(root, target)).is_dir():
        raise InputError(f"{path} of the image is a link to a directory, where a file is to be written")
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    os.fchown(descriptor, 0, 0)
    return os.fdopen(descriptor, "wb")


def place_link(root: Path, path: str, destination: str) -> Path:
    """A symbolic link at a path of the image, in place of any file or link there; returns where it is."""
    target = _free_place(root, path, 0o755)
    target.unlink(missing_ok=True)
    target.symlink_to(destination)
    os.lchown(target, 0, 0)
    return target


def inside(root: Path, path: Path) -> str:
    """The path that the image has for a place in its tree."""
    return f"/{path.relative_to(root)}" if path != root else "/"


def _free_place(root: Path, path: str, parents_mode: int) -> Path:
    """Where a new entry goes; its directory is made when missing. InputError when a directory is in its place."""
    directory, _, name = path.rpartition("/")
    if name in ("", ".", ".."):
        raise InputError(f"the path {path} names a directory, where a file is to be written")
    target = make_directory(root, directory, parents_mode) / name
    if target.is_dir() and not target.is_symlink():
        raise InputError(f"{path} of the image is a directory, where a file is to be written")
    return target


def read_text(root: Path, path: str) -> str | None:
    """The text of a file at a path of the image, links followed inside it; None when there is none.

    InputError for what is no plain file. Bytes that are no UTF-8 become surrogates, so that `place_file` writes them as
    they were.
    """
    content = read_file(root, path, limit=_MAX_TEXT)
    if content is None and os.path.lexists(resolve_inside(root, path)):
        raise InputError(f"{path} of the image is no plain file")
    return None if content is None else content.decode("utf-8", "surrogateescape")


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
