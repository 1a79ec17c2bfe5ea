"""How registries are reached, and where their images are kept: values without the weight of what uses them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_LIMIT = 20 << 30


@dataclass(frozen=True)
class Advice:
    """What to do about a server that cannot be reached as it is; None: nothing. By default there are flags for it."""

    certificate: str = "name the authority that signed it with --ca-file FILE"
    no_tls: str | None = "if the registry has no TLS and you trust the network, add --plain-http"
    login: str = "log in first: twinroot login {registry}"
    other_login: str = "log in as somebody who may: twinroot login {registry}"


WITHOUT_FLAGS = Advice(
    "add the authority that signed it to the certificates that the system trusts",
    None,
    "put credentials for {registry} into /root/.docker/config.json",
    "put the credentials of somebody who may into /root/.docker/config.json",
)
"""For a machine that is serviced, where files are all that there is."""


@dataclass(frozen=True)
class Access:
    """How registries are reached: without TLS, with more certificates, with which file of credentials."""

    plain_http: bool = False
    ca_files: tuple[Path, ...] = ()
    auth_file: Path | None = None
    advice: Advice = Advice()


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
