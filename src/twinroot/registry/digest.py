"""Digests of content: `sha256:…`. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from twinroot.config.registry_reference import DIGEST
from twinroot.errors import FormatError

if TYPE_CHECKING:
    from hashlib import _Hash


def hasher(digest: str) -> _Hash:
    """A fresh hash of a digest's algorithm; FormatError when the text is no digest that we know."""
    if not DIGEST.fullmatch(digest):
        raise FormatError(f"{digest[:80]!r} is not a digest with sha256, sha384 or sha512")
    return hashlib.new(digest.split(":")[0])


def digest_of(data: bytes, like: str = "sha256:") -> str:
    """The digest of `data`, by the algorithm of the digest `like`."""
    algorithm = like.split(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def matches(digest: str, found: _Hash) -> bool:
    """Whether a hash came to what the digest says."""
    return digest == f"{found.name}:{found.hexdigest()}"
