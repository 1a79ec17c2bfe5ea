"""What must be unique in `os` (host-config spec, sections 7.3 and 7.8). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from twinroot.config.checks import Rule
from twinroot.config.host.config import HostConfig
from twinroot.config.host.extensions import Extension
from twinroot.config.host.scalars import usual_spelling
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.config.section import UnreadableError


def user_names(config: HostConfig) -> Iterator[Finding]:
    """Names of users are unique in the target OS; the peer does not look at those of the management OS."""
    seen: set[str] = set()
    for index, user in enumerate(config.os.users):
        with suppress(UnreadableError):
            if user.name in seen:
                message = f"the user {quoted(user.name)} is listed twice"
                yield Finding(("os", "users", index, "name"), message, code="duplicate-usernames")
            seen.add(user.name)


def system_extensions(config: HostConfig) -> Iterator[Finding]:
    """Hashes and paths of system extensions are unique."""
    return _repeated("sysexts", config.os.sysexts)


def configuration_extensions(config: HostConfig) -> Iterator[Finding]:
    """Hashes and paths of configuration extensions are unique."""
    return _repeated("confexts", config.os.confexts)


def _repeated(key: str, extensions: tuple[Extension, ...]) -> Iterator[Finding]:
    hashes: set[str] = set()
    paths: set[str] = set()
    for index, extension in enumerate(extensions):
        path: KeyPath = ("os", key, index)
        with suppress(UnreadableError):
            if extension.sha384 in hashes:
                message = "an extension with this hash is already listed"
                yield Finding((*path, "sha384"), message, code="duplicate-extension-image")
            hashes.add(extension.sha384)
        with suppress(UnreadableError):
            path_there = extension.path and usual_spelling(extension.path)
            if path_there in paths:
                message = f"the path {quoted(extension.path or '')} is already used by another extension"
                yield Finding((*path, "path"), message, code="duplicate-extension-image-path")
            if path_there:
                paths.add(path_there)


OS_RULES: tuple[Rule[HostConfig], ...] = (
    user_names,
    system_extensions,
    configuration_extensions,
)
