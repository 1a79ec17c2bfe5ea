"""References to what lies in OCI registries: `HOST/REPOSITORY`, with a tag, a digest or both. Pure.

Grammar: OCI distribution specification, "pulling manifests"; the host is that of a URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
DEFAULT_TAG = "latest"
REFERENCE_HINT = "write HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:…, for example mcr.microsoft.com/a/b:1.0"
_REFERENCE = re.compile(
    r"(?P<registry>[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)"
    rf"/(?P<repository>{COMPONENT}(?:/{COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    rf"(?:@(?P<digest>{DIGEST.pattern}))?",
    re.ASCII,
)
_LONGEST = 1024


@dataclass(frozen=True)
class Reference:
    """A parsed reference. `registry` is host or host:port. Where both tag and digest are given, the digest counts."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def selector(self) -> str:
        """What to ask the registry for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def name(self) -> str:
        """`registry/repository`, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def at(self, digest: str) -> Reference:
        """The same repository at a digest."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse_reference(text: str) -> Reference | None:
    """The reference that a text is, or None."""
    match = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST else None
    return Reference(**match.groupdict()) if match else None


def azure_linux_reference(variant: str, version: str) -> Reference:
    """Where Microsoft publishes an image: `3.0` is the newest of 3.0, `3.0.20250910` that of a date.

    Image config spec, section 4.2.
    """
    release = ".".join(version.split(".")[:2])
    tag = DEFAULT_TAG if version == release else version
    return Reference("mcr.microsoft.com", f"azurelinux/{release}/image/{variant}", tag)
