"""`iso` and `pxe`: what goes onto the media of a live system (image-config spec, section 4.23)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from twinroot.config.image.files import AdditionalFile
from twinroot.config.image.kernel_command_line import KernelCommandLine
from twinroot.config.problems import Finding, one_of, quoted
from twinroot.config.scalars import EmptyIsUnset, ScalarError, from_text
from twinroot.config.section import Section

InitramfsType = Literal["bootstrap", "full-os"]
KdumpBootFiles = Literal["none", "keep"]
_SCHEMES = ("ftp", "http", "https", "nfs", "tftp")


def media_url(text: str) -> str | None:
    """An address from which a machine that boots from the network fetches the image; None for empty text."""
    if not text:
        return None
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in _SCHEMES:
        raise ScalarError(f"the URL {quoted(text)} must begin with {one_of(f'{name}://' for name in _SCHEMES)}")
    if not re.match(r"[^/?#]", rest) or re.search(r"[\s\x00-\x1f]", rest) or not _has_host(text):
        raise ScalarError(f"{quoted(text)} is not a URL", "write for example http://server/images")
    return text


def _has_host(url: str) -> bool:
    """Whether there is a host, and what follows it is a port."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


MediaUrl = Annotated[str | None, from_text(media_url)]


class LiveMedia(Section):
    """What ISO and PXE have in common."""

    kernel_command_line: KernelCommandLine = Field(
        default_factory=KernelCommandLine, description="Kernel command line of the media."
    )
    additional_files: tuple[AdditionalFile, ...] = Field(default=(), description="Files to put onto the media.")
    initramfs_type: Annotated[InitramfsType | None, EmptyIsUnset] = Field(
        default=None,
        description="`bootstrap`: a small initramfs that mounts the system from the media; `full-os`: the whole system "
        "in the initramfs. The default is `bootstrap` for ISO and `full-os` for PXE, or that of an input ISO.",
    )
    kdump_boot_files: Annotated[KdumpBootFiles | None, EmptyIsUnset] = Field(
        default=None,
        description="Whether kdump's files stay in `/boot`. Needs the preview feature `kdump-boot-files`.",
    )


class Iso(LiveMedia):
    """Settings for ISO output; other formats ignore them."""


class Pxe(LiveMedia):
    """Settings for PXE output; other formats ignore them."""

    bootstrap_base_url: MediaUrl = Field(
        default=None, description="Address of the directory that holds `image.iso`. For `bootstrap` only."
    )
    bootstrap_file_url: MediaUrl = Field(
        default=None, description="Address of the image itself. For `bootstrap` only; not with `bootstrapBaseUrl`."
    )

    def check(self) -> Iterator[Finding]:
        """One address at most, and only where there is something to fetch."""
        given = {"bootstrapBaseUrl": self.bootstrap_base_url, "bootstrapFileUrl": self.bootstrap_file_url}
        keys = [key for key, value in given.items() if value]
        if len(keys) > 1:
            yield Finding((keys[1],), f"'{keys[0]}' and '{keys[1]}' may not be given together", "remove one of them")
        for key in keys if self.initramfs_type == "full-os" else ():
            yield Finding((key,), "this key is not allowed with initramfsType full-os", "use initramfsType: bootstrap")
