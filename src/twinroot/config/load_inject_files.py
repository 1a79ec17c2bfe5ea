"""Load the configuration of `inject-files` (image-config spec, section 4.25)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinroot.config.checks import check
from twinroot.config.decode import decode
from twinroot.config.image.inject_files import InjectFilesConfig
from twinroot.config.image.preview_rules import needs
from twinroot.config.problems import Finding
from twinroot.config.yaml import read_document
from twinroot.errors import ConfigError, Problem


@dataclass(frozen=True)
class LoadedInjectFiles:
    """A configuration that is right; `warnings` are what is probably not meant."""

    path: Path
    config: InjectFilesConfig
    warnings: tuple[Problem, ...] = ()

    def resolve(self, path: str) -> Path:
        """A path of the file: absolute paths as they are, others relative to its directory."""
        return self.path.parent / path


def preview_feature(config: InjectFilesConfig) -> Iterator[Finding]:
    """The whole language is a preview feature."""
    if "inject-files" not in config.preview_features:
        yield needs("inject-files", ("injectFiles",))


RULES = (preview_feature,)


def load_inject_files(path: Path) -> LoadedInjectFiles:
    """Load a configuration; one ConfigError with every problem found."""
    document = read_document(path)
    decoded = decode(document, InjectFilesConfig)
    problems = [*decoded.problems, *check(document, decoded.model, RULES)]
    if problems:
        raise ConfigError(problems)
    return LoadedInjectFiles(path, decoded.model, document.warnings)
