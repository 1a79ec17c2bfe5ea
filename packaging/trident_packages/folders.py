"""Folders appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_folder(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield an empty folder that takes the place of `path` on success, and another for work; both go away otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
        target, work = Path(scratch, "target"), Path(scratch, "work")
        target.mkdir()
        work.mkdir()
        yield target, work
        if path.exists():
            path.rename(Path(scratch, "old"))
        target.rename(path)
