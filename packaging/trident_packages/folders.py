"""Folders appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.scratch import locked_folder


@contextmanager
def replacing_folder(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield an empty folder that takes the place of `path` on success, and another for work; both go away otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked_folder(f".{path.name}-", path.parent) as scratch:
        target, work = scratch / "target", scratch / "work"
        target.mkdir()
        work.mkdir()
        yield target, work
        if path.exists():
            path.rename(scratch / "old")
        target.rename(path)
