"""`input`: the base image (image-config spec, section 4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from twinroot.config.problems import Finding, quoted
from twinroot.config.registry_reference import COMPONENT, REFERENCE_HINT, parse_reference
from twinroot.config.scalars import ANY_TEXT, OptionalStr, ScalarError, from_text
from twinroot.config.section import Section, ShortSection

_VERSION = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")


def oci_reference(text: str) -> str:
    """A registry reference: `host/repository`, with a tag, a digest or both."""
    if not parse_reference(text):
        raise ScalarError(f"{quoted(text)} is not a registry reference", REFERENCE_HINT)
    return text


def azure_linux_version(text: str) -> str:
    """`3.0`, or `3.0.20250910` for the image of a date."""
    if not _VERSION.fullmatch(text):
        raise ScalarError(f"{quoted(text)} is not a version of Azure Linux", "write for example 3.0 or 3.0.20250910")
    return text


def azure_linux_variant(text: str) -> str:
    """A component of a repository's name, such as `minimal-os`."""
    if not re.fullmatch(COMPONENT, text):
        hint = "write lower-case letters and digits, with single separators between, for example minimal-os"
        raise ScalarError(f"{quoted(text)} is not a variant of Azure Linux", hint)
    return text


def short_platform(text: str) -> dict[str, str]:
    """The keys that the short form of a platform stands for: `OS` or `OS/ARCH`."""
    keys = ("os", "architecture")
    parts = [part.strip() for part in text.split("/")]
    if len(parts) > len(keys) or not all(parts):
        raise ScalarError(f"{quoted(text)} is not a platform", "write OS or OS/ARCH, for example linux/amd64")
    return dict(zip(keys, parts, strict=False))


class OciPlatform(ShortSection):
    """Chooses an image from an index; `OS` or `OS/ARCH` may stand for the object."""

    short_form: ClassVar[str] = "os"

    os: OptionalStr = Field(default=None, description="Operating system, for example `linux`.")
    architecture: OptionalStr = Field(
        default=None, description="Architecture in Go's naming: `amd64` or `arm64`. The default is the build host's."
    )

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        return short_platform(data) if isinstance(data, str) else data


class OciImage(ShortSection):
    """An artifact in a registry; a reference alone may stand for the object."""

    short_form: ClassVar[str] = "uri"

    uri: Annotated[str, from_text(oci_reference)] = Field(
        description="Registry reference with a tag or a digest, for example `mcr.microsoft.com/a/b:1.0`."
    )
    platform: OciPlatform | None = Field(default=None, description="Which image of an index to take.")


class AzureLinuxImage(Section):
    """An image that Microsoft publishes for Azure Linux; its signature is always verified."""

    variant: Annotated[str, from_text(azure_linux_variant)] = Field(
        description="Kind of the image, for example `minimal-os`."
    )
    version: Annotated[str, from_text(azure_linux_version), ANY_TEXT] = Field(
        description="`3.0` for the newest image, `3.0.20250910` for that of a date."
    )


class InputImage(Section):
    """The base image: at most one of the keys. The command line overrides them."""

    path: OptionalStr = Field(
        default=None, description="Image file, relative to the directory of this configuration file."
    )
    oci: OciImage | None = Field(default=None, description="An image in a registry.")
    azure_linux: AzureLinuxImage | None = Field(default=None, description="An official image of Azure Linux.")

    def check(self) -> Iterator[Finding]:
        """Only one kind of base image."""
        given = [key for key, value in self.kinds().items() if value]
        for key in given[1:]:
            yield Finding((key,), f"'{given[0]}' and '{key}' may not be given together", "remove one of them")

    def kinds(self) -> dict[str, object]:
        """The value of each kind of base image by its key."""
        return {"path": self.path, "oci": self.oci, "azureLinux": self.azure_linux}


class Input(Section):
    """What is built upon."""

    image: InputImage = Field(default_factory=InputImage, description="Base image.")
