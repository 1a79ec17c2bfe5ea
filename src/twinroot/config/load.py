"""Load an image configuration: the file, the files it builds upon, and what they come to together.

Reading finds all problems of the files and raises none of them, so that what is found elsewhere, missing files above
all, can be told with them: `read_image_config`, then `ReadConfig.loaded`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from twinroot.config.checks import check
from twinroot.config.decode import decode
from twinroot.config.document import Document
from twinroot.config.image.chain import read_chain
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.file import ConfigFile, hide_passwords, place_findings
from twinroot.config.image.host_paths import HostPath, host_paths
from twinroot.config.image.inheritance import inherit
from twinroot.config.image.layout import Layout, resolve_layout
from twinroot.config.image.rules import MERGED_RULES
from twinroot.config.problems import Finding, KeyPath
from twinroot.errors import ConfigError, Problem

_TOGETHER = ", taking all files of the chain together"


@dataclass(frozen=True)
class ReadConfig:
    """A configuration as it was read, right or not.

    `files` are those of the chain, bases first: most of `os` and the scripts happen file by file, each with paths
    relative to its own directory. `document` is all of them merged, with the place of every value; `config` what is
    right of that, `paths` those on the build host that it names. `problems` are those of all files.
    """

    files: tuple[ConfigFile, ...]
    document: Document
    config: ImageConfig
    paths: tuple[HostPath, ...]
    problems: tuple[Problem, ...]

    @property
    def path(self) -> Path:
        """The file that was asked for."""
        return self.files[-1].path

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is allowed and probably not meant, in all files."""
        return tuple(dict.fromkeys(warning for file in self.files for warning in file.warnings))

    def resolve(self, key: KeyPath) -> Path | None:
        """The path that a key of the merged configuration holds, relative to the file that says so; None if not set."""
        node, depth = self.document.find(key)
        text = getattr(node, "text", None)
        return node.place.source.directory / text if depth == len(key) and text else None

    def placed(self, findings: Iterable[Finding]) -> list[Problem]:
        """Findings in the merged configuration as problems with their places; no password is shown with them."""
        return place_findings(self.document, findings)

    def loaded(self, further: Iterable[Problem] = (), *, architecture: str = "x86_64") -> LoadedConfig:
        """The configuration, if it is right; one ConfigError with its problems and the `further` ones."""
        problems = dict.fromkeys((*self.problems, *further))  # command line and file may break the same rule
        if problems:
            raise ConfigError(tuple(problems))
        layout = None
        if self.config.storage.disks:
            layout, _ = resolve_layout(self.config.storage.disks[0], ("storage", "disks", 0), architecture)
        return LoadedConfig(self.files, self.document, self.config, self.paths, (), layout)


@dataclass(frozen=True)
class LoadedConfig(ReadConfig):
    """A configuration that is right. `layout` is None when the image keeps its partitions."""

    layout: Layout | None


def read_image_config(path: Path, *, guess: bool = True) -> ReadConfig:
    """Read a configuration; ConfigError when what is at `path` cannot be read or is not YAML.

    With `guess`, ConfigError also when it has mistakes and seems to be meant for another program.
    """
    chain = read_chain(path)
    if guess and chain.problems:
        from twinroot.config.languages import refuse_another_language  # models of all languages, seldom needed

        refuse_another_language(chain.files[-1].document, "image")
    if len(chain.files) == 1:
        file = chain.files[0]
        return ReadConfig(chain.files, file.document, file.config, file.paths, chain.problems)
    document = inherit([file.document for file in chain.files])
    decoded = decode(document, ImageConfig)
    problems = list(chain.problems)
    if chain.complete:
        known = {_identity(problem) for problem in problems}
        rules = map(_of_all_files, check(document, decoded.model, MERGED_RULES))
        found = hide_passwords(document, (*decoded.problems, *rules))
        problems += [problem for problem in found if _identity(problem) not in known]
    paths = tuple(host_paths(document, decoded.broken))
    return ReadConfig(chain.files, document, decoded.model, paths, tuple(problems))


def load_image_config(path: Path, *, architecture: str = "x86_64") -> LoadedConfig:
    """Load a configuration for an architecture ("x86_64" or "arm64"); one ConfigError with every problem found."""
    return read_image_config(path).loaded(architecture=architecture)


def _identity(problem: Problem) -> tuple[str, str]:
    """What a problem of one file and the same one in the merged document share: there, items have other indices."""
    return re.sub(r"\[[0-9]+\]", "[]", problem.key), problem.message.removesuffix(_TOGETHER)


def _of_all_files(problem: Problem) -> Problem:
    """A problem that no file has by itself: the one that it is shown in may look right."""
    return replace(problem, message=f"{problem.message}{_TOGETHER}")
