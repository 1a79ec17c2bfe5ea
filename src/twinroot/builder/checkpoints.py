"""Trees kept between runs: what a build had changed after some step, under the content id of that step.

CACHE/lock                      held while one of these is read or written
CACHE/<owner>/trees/<id>/       the changes: overlay layers and directories of `base.tree.CHANGES`
CACHE/<owner>/runs/<name>.json  what the last run of a configuration depended on
CACHE/<owner>/digests.json      digests of files

<owner> is `root` or `user`: overlays of ordinary users keep their marks in other attributes. Nobody else may look into
it, as the digests are also those of files with passwords, and quicker to guess from than what /etc/shadow holds. A tree
appears under its name when it is complete and on the disk. When all are larger than `LIMIT`, those that were not used
for longest are removed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twinroot.base.tree import CHANGES
from twinroot.builder.build_directory import remove_tree
from twinroot.errors import InputError
from twinroot.tools.run import run
from twinroot.units import GIB

LIMIT = 20 * GIB


class Checkpoints:
    """The trees of one cache directory."""

    def __init__(self, directory: Path, owner: str) -> None:
        self._lock = directory / "lock"
        self.directory = directory / owner
        self._trees = self.directory / "trees"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self._trees.mkdir(exist_ok=True)
            (self.directory / "runs").mkdir(exist_ok=True)
            self._lock.touch()
        except OSError as error:
            hint = "name a writable directory"
            raise InputError(
                f"--cache-dir cannot be used: {error.strerror}", where=str(directory), hint=hint
            ) from error

    def restore(self, ids: Sequence[str], scratch: Path) -> int | None:
        """Bring the latest of the trees that is kept into the scratch folder; its place in `ids`, None if none is."""
        with self._locked():
            for index in reversed(range(len(ids))):
                kept = self._trees / ids[index]
                if kept.is_dir():
                    for name in CHANGES:
                        if (kept / name).is_dir():
                            _copy(kept / name, scratch / name)
                    os.utime(kept)
                    return index
        return None

    def keep(self, content_id: str, scratch: Path) -> None:
        """Keep the changes in the scratch folder under an id."""
        kept = self._trees / content_id
        partial = self._trees / f".{content_id}.{os.getpid()}"
        with self._locked():
            if kept.exists():
                return
            self._clear()
            partial.mkdir()
            try:
                for name in CHANGES:
                    if (scratch / name).is_dir():
                        _copy(scratch / name, partial / name)
                (partial / "size").write_text(run(["du", "--summarize", "--block-size=1", partial]).stdout.split()[0])
                # A name that a power cut leaves on half of a tree would give wrong images from then on.
                run(["sync", "--file-system", partial])
                partial.rename(kept)
            finally:
                remove_tree(partial)

    def _clear(self) -> None:
        """Remove what killed runs left, and the trees that are too many."""
        for leftover in self._trees.glob(".*"):
            remove_tree(leftover)
        room = LIMIT
        for kept in sorted(self._trees.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            size = _size(kept)
            room -= size or 0
            if size is None or room < 0:
                remove_tree(kept)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _copy(source: Path, target: Path) -> None:
    run(["cp", "--archive", "--reflink=auto", "--no-target-directory", source, target])


def _size(kept: Path) -> int | None:
    """How much a tree takes, in bytes; None when nobody knows, as somebody meddled with it."""
    try:
        return int((kept / "size").read_text())
    except (OSError, ValueError):
        return None
