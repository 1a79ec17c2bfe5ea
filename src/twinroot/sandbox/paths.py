"""Paths of an image seen from outside it."""

from __future__ import annotations

from pathlib import Path

from twinroot.errors import InputError


def resolve_inside(root: Path, path: str) -> Path:
    """A path of the image with its symbolic links followed as the image would, never leading outside the tree."""
    current = root
    parts = [part for part in path.split("/") if part]
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
