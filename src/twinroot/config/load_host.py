"""Load a host configuration."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twinroot.config.checks import check
from twinroot.config.decode import decode
from twinroot.config.document import Document, Mapping
from twinroot.config.host.config import HostConfig
from twinroot.config.host.rules import HOST_RULES
from twinroot.config.host.storage import Storage
from twinroot.config.host.trident import Trident
from twinroot.config.host.warnings import WARNINGS
from twinroot.config.secrets import secrets_in, without_secrets
from twinroot.config.section import UnreadableError
from twinroot.config.yaml import parse, read_file
from twinroot.errors import ConfigError, Problem

UNREADABLE = "read-input-file"
"""The peer's name for a file that cannot be read. (Host-config spec, section 1.1, as the next ones.)"""
UNPARSABLE = "parse-host-configuration-file"
"""Its name for what its parser refuses; problems of that kind have no code here."""

# Keys of versions of the peer that are long gone, with the name of its error.
OLD_KEYS = {
    "hostConfiguration": (
        "old-style-configuration",
        "this is the form of an old version: what stands below this key must stand at the top level",
    ),
    "allowedOperations": (
        "allowed-operations-in-host-configuration",
        "this is no part of a host configuration any more: use the flag --allowed-operations",
    ),
}


@dataclass(frozen=True)
class LoadedHostConfig:
    """A configuration that is right; `warnings` are what is probably not meant."""

    path: Path
    config: HostConfig
    document: Document
    warnings: tuple[Problem, ...]


def load_host_config(path: Path, *, stored: HostConfig | None = None, guess: bool = True) -> LoadedHostConfig:
    """Load a configuration; one ConfigError with every problem found.

    With `guess`, a file with mistakes that seems to be meant for another program has only that problem.
    `stored` is the configuration of the machine, where there is one: an image without a storage section is for disks
    as they are (servicing spec, section 3), and the datastore stays where it is.
    """
    document = parse(_read(path), str(path))
    try:
        return _load(path, document, stored)
    except ConfigError:
        if guess:
            from twinroot.config.languages import refuse_another_language  # which knows this module

            refuse_another_language(document, "host")
        raise


def parse_host_config(text: str, file: str, *, stored: HostConfig | None = None) -> LoadedHostConfig:
    """The same from a text that comes from elsewhere; `file` is the name to show."""
    return _load(Path(file), parse(text.encode(), file), stored)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except ConfigError as error:
        raise ConfigError([replace(problem, code=UNREADABLE) for problem in error.problems]) from None


def _load(path: Path, document: Document, stored: HostConfig | None) -> LoadedHostConfig:
    old = _old_keys(document)
    if old:
        raise ConfigError(old)
    decoded = decode(document, HostConfig)
    config = _with_stored(decoded.model, stored)
    problems = [*decoded.problems, *check(document, config, HOST_RULES)]
    if problems:
        secrets = secrets_in(document, ("locked",))
        raise ConfigError([without_secrets(problem, secrets) for problem in problems])
    warnings = (*document.warnings, *check(document, config, WARNINGS))
    return LoadedHostConfig(path, config, document, warnings)


def _old_keys(document: Document) -> list[Problem]:
    if not isinstance(document.root, Mapping):
        return []
    return [
        replace(document.problem_with_key((key,), message), code=code)
        for key, (code, message) in OLD_KEYS.items()
        if key in document.root.values
    ]


def _with_stored(config: HostConfig, stored: HostConfig | None) -> HostConfig:
    """The configuration with those sections of the machine's that it leaves out and that cannot change."""
    if stored is None:
        return config
    sections: dict[str, Any] = {}
    with suppress(UnreadableError):
        if config.storage == Storage() and _has_image(config):
            sections["storage"] = stored.storage
    with suppress(UnreadableError):
        if config.trident == Trident():
            sections["trident"] = Trident(datastore_path=stored.trident.datastore_path)
    return config.model_copy(update=sections)


def _has_image(config: HostConfig) -> bool:
    """Whether there is an image, right or wrong."""
    try:
        return config.image is not None
    except UnreadableError:
        return True
