"""How registries are reached, and where their images are kept: values without the weight of what uses them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_LIMIT = 20 << 30


@dataclass(frozen=True)
class Access:
    """How registries are reached: without TLS, with more certificates, with which file of credentials."""

    plain_http: bool = False
    ca_files: tuple[Path, ...] = ()
    auth_file: Path | None = None


@dataclass(frozen=True)
class Trust:
    """Whose signatures are wanted: a trust policy's file in place of notation's own, or `skip` to want none."""

    policy_file: Path | None = None
    skip: bool = False


@dataclass(frozen=True)
class Fetching:
    """How images are fetched: the cache's directory, the bytes it may hold, the way to registries, whom to trust."""

    cache: Path
    cache_limit: int = DEFAULT_LIMIT
    access: Access = Access()
    trust: Trust = Trust()
