"""Load an image configuration: the file, the files it builds upon, and what they come to together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from twinroot.config.checks import check
from twinroot.config.decode import decode
from twinroot.config.document import Document
from twinroot.config.image.chain import read_chain
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.file import ConfigFile
from twinroot.config.image.inheritance import inherit
from twinroot.config.image.layout import Layout, resolve_layout
from twinroot.config.image.rules import MERGED_RULES
from twinroot.config.problems import KeyPath
from twinroot.errors import ConfigError, Problem


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration that is right.

    `files` are those of the chain, bases first: most of `os` and the scripts happen file by file, each with paths
    relative to its own directory. `config` is all of them merged, `document` the same with the place of every value.
    `layout` is None when the image keeps its partitions.
    """

    files: tuple[ConfigFile, ...]
    config: ImageConfig
    document: Document
    layout: Layout | None

    @property
    def path(self) -> Path:
        """The file that was asked for."""
        return self.files[-1].path

    def resolve(self, key: KeyPath) -> Path | None:
        """The path that a key of the merged configuration holds, relative to the file that says so; None if not set."""
        node, depth = self.document.find(key)
        text = getattr(node, "text", None)
        return node.place.source.directory / text if depth == len(key) and text else None


def load_image_config(path: Path, *, architecture: str = "x86_64") -> LoadedConfig:
    """Load a configuration for an architecture ("x86_64" or "arm64"); one ConfigError with every problem found."""
    files = read_chain(path)
    document = files[0].document if len(files) == 1 else inherit([file.document for file in files])
    decoded = decode(document, ImageConfig)
    problems = list(decoded.problems)
    if len(files) > 1:
        problems += [_of_all_files(problem) for problem in check(document, decoded, MERGED_RULES)]
    if problems or decoded.model is None:
        raise ConfigError(problems)
    config = decoded.model
    layout = None
    if config.storage.disks:
        layout, _ = resolve_layout(config.storage.disks[0], ("storage", "disks", 0), architecture)
    return LoadedConfig(files, config, document, layout)


def _of_all_files(problem: Problem) -> Problem:
    """A problem that no file has by itself: the one that it is shown in may look right."""
    return replace(problem, message=f"{problem.message}, taking all files of the chain together")
