"""Where images may lie: what the scheme of a URL asks of the rest (host-config spec, section 3). Pure.

The peer looks at the scheme when it opens the image. By then a machine is being serviced, so we look before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from twinroot.config.checks import Rule
from twinroot.config.host.config import HostConfig
from twinroot.config.problems import Finding, KeyPath, one_of, quoted
from twinroot.config.registry_reference import REFERENCE_HINT, parse_reference
from twinroot.config.section import UnreadableError

SCHEMES = ("file", "http", "https", "oci")


def fault_of(url: str) -> tuple[str, str] | None:
    """Why no image can be read from a URL, and a hint; None where one may be. ValueError for what is no URL."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return f"images are not read from URLs with the scheme {quoted(parts.scheme)}", f"use {one_of(SCHEMES)}"
    if parts.scheme == "file" and (parts.netloc not in ("", "localhost") or not parts.path.startswith("/")):
        return "a URL of a file has three slashes", "write for example file:///os.cosi"
    if parts.scheme == "oci" and parse_reference(url.partition("://")[2]) is None:
        return "this is no reference of a registry", REFERENCE_HINT
    return None


def image_urls(config: HostConfig) -> Iterator[Finding]:
    """Images are where they can be read from."""
    for path, url in _urls(config):
        fault = fault_of(url)
        if fault:
            message, hint = fault
            yield Finding(path, message, hint)


def _urls(config: HostConfig) -> Iterator[tuple[KeyPath, str]]:
    with suppress(UnreadableError):
        if config.image is not None:
            yield ("image", "url"), config.image.url
    for key, found in (("sysexts", config.os.sysexts), ("confexts", config.os.confexts)):
        for index, extension in enumerate(found):
            with suppress(UnreadableError):
                yield ("os", key, index, "url"), extension.url


IMAGE_RULES: tuple[Rule[HostConfig], ...] = (image_urls,)
