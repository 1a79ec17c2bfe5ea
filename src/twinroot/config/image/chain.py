"""A configuration file with all the files it builds upon (image-config spec, section 8).

Depth first: the bases of a file in their order, each with its own bases, then the file. A file that is reached twice is
applied once, at its first place; only true circles are errors. Files are compared by their real paths.
"""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twinroot.config.decode import MAX_PROBLEMS
from twinroot.config.document import Document, Mapping, plain
from twinroot.config.image.file import ConfigFile, problems_of_other_file, read_file
from twinroot.config.image.host_paths import Kind
from twinroot.config.image.overlays import Overlay, normal
from twinroot.config.problems import KeyPath, quoted
from twinroot.config.section import UnreadableError
from twinroot.errors import ConfigError, Problem

MAX_DEPTH = 128  # files; reading goes two frames deeper with each


@dataclass(frozen=True)
class Chain:
    """The files, bases first and the named one last, and every problem of all of them.

    It is not `complete` when a base could not be read: nobody knows what that would have said.
    """

    files: tuple[ConfigFile, ...]
    problems: tuple[Problem, ...]
    complete: bool


def read_chain(path: Path) -> Chain:
    """Read a file and all it builds upon; ConfigError when the file itself cannot be read."""
    reader = _Reader()
    reader.read(path, ())
    problems = dict.fromkeys(
        [*reader.problems, *_storage_problems(reader.files), *_overlay_problems(reader.files)]
    )  # a list may be named twice
    return Chain(tuple(reader.files), tuple(problems), reader.complete)


class _Reader:
    """Reads one chain."""

    def __init__(self) -> None:
        self.files: list[ConfigFile] = []
        self.problems: list[Problem] = []
        self.complete = True
        self._seen: set[Path] = set()

    def read(self, path: Path, way: tuple[Path, ...]) -> None:
        """Read a file and its bases; `way` are the real paths of the files that led here."""
        real = _real_path(path)
        self._seen.add(real)
        file, problems = read_file(path)
        self.problems += problems
        for found in file.paths:
            if found.kind is Kind.CONFIG:
                self._read_base(file.document, found.key, file.resolve(found.path), (*way, real))
        self.files.append(file)

    def _read_base(self, document: Document, key: KeyPath, path: Path, way: tuple[Path, ...]) -> None:
        real = _real_path(path)
        if real in way:
            message = f"base configurations go in a circle: {_show_way((*way[way.index(real) :], real))}"
            self.problems.append(document.problem(key, message))
        elif len(way) >= MAX_DEPTH:
            message = f"base configurations are nested more than {MAX_DEPTH} levels deep"
            self.problems.append(document.problem(key, message))
        elif real not in self._seen and len(self.problems) < MAX_PROBLEMS:
            try:
                self.read(path, way)
            except ConfigError as error:
                self.complete = False
                self.problems += problems_of_other_file(document, key, Kind.CONFIG.value, error)


def _real_path(path: Path) -> Path:
    """The file that is meant, through symbolic links; reading says what is wrong with a path that leads nowhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, characters that no path has
        return path.absolute()


def _show_way(files: Sequence[Path]) -> str:
    """Files one after the other, relative to the directory that has them all."""
    common = os.path.commonpath([file.parent for file in files])
    return " → ".join(str(file.relative_to(common)) for file in files)


def _storage_problems(files: list[ConfigFile]) -> list[Problem]:
    """One file at most describes the storage: layouts are not merged."""
    holders = [file for file in files if _has_storage(file)]
    return [
        file.document.problem_with_key(
            ("storage",),
            f"another file of the chain has this section already: {holders[0].path}",
            "storage is not merged: keep it in one file",
        )
        for file in holders[1:]
    ]


def _has_storage(file: ConfigFile) -> bool:
    """Whether the section says anything, right or wrong. Empty values say nothing."""
    node, depth = file.document.find(("storage",))
    return depth == 1 and isinstance(node, Mapping) and any(plain(value) for value in node.values.values())


def _overlay_problems(files: list[ConfigFile]) -> list[Problem]:
    """No two files have different overlays at one mount point, or with one upper or work directory."""
    problems, seen = [], dict[tuple[str, str], tuple[ConfigFile, Overlay]]()
    for file in files:
        with suppress(UnreadableError):
            for index, overlay in enumerate((file.config.os and file.config.os.overlays) or ()):
                paths = {"mountPoint": overlay.mount_point, "upperDir": overlay.upper_dir, "workDir": overlay.work_dir}
                for key, path in paths.items():
                    other, first = seen.setdefault((key, normal(path)), (file, overlay))
                    if other is not file and first != overlay:
                        message = f"the {key} {quoted(path)} is already used by an overlay of {other.path}"
                        problems.append(file.document.problem(("os", "overlays", index, key), message))
    return problems
