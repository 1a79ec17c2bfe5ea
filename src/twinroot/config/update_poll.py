"""What `trident-update-poll` is told: its configuration, and the document that a server offers an image with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, WithJsonSchema

from twinroot.config.decode import decode
from twinroot.config.document import Document
from twinroot.config.host.scalars import Sha384, Url
from twinroot.config.problems import Finding, quoted
from twinroot.config.registry_reference import parse_reference
from twinroot.config.scalars import ScalarError, from_text
from twinroot.config.section import Section
from twinroot.config.yaml import parse, read_document
from twinroot.errors import ConfigError

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_PERCENT = re.compile(r"(100|[0-9]{1,2})(?:\.([0-9]{1,3}))?%")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
AnySection = TypeVar("AnySection", bound=Section)


def time_of_day(text: str) -> int:
    """Minutes since midnight of `02:30`."""
    found = _TIME.fullmatch(text)
    if not found:
        raise ScalarError(f"{quoted(text)} is not a time of day", "write hours and minutes, for example 02:30")
    return int(found[1]) * 60 + int(found[2])


def percentage(text: str) -> float:
    """The fraction, from 0 to 1, that `12.5%` is."""
    found = _PERCENT.fullmatch(text)
    value = float(text.removesuffix("%")) / 100 if found else 2.0
    if value > 1:
        raise ScalarError(f"{quoted(text)} is not a percentage", "write 0% to 100%, for example 5%")
    return value


def poll_source(text: str) -> str:
    """`https://…` or `oci://HOST/REPOSITORY:TAG`; plain `http` for this machine itself alone."""
    with suppress(ValueError):  # of brackets that do not match
        parts = urlsplit(text)
        host = urlsplit(f"//{parts.netloc.rpartition('@')[2]}").hostname
        if parts.scheme == "oci" and parse_reference(text.removeprefix("oci://")):
            return text
        if host and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)):
            return text
    hint = "write https://HOST/PATH or oci://HOST/REPOSITORY:TAG"
    raise ScalarError(f"{quoted(text)} is not a place to ask for images", hint)


TimeOfDay = Annotated[int, from_text(time_of_day), WithJsonSchema({"type": "string", "examples": ["02:30"]})]
Percentage = Annotated[float, from_text(percentage), WithJsonSchema({"type": "string", "examples": ["5%"]})]
PollSource = Annotated[str, from_text(poll_source), WithJsonSchema({"type": "string", "format": "uri"})]


class Window(Section):
    """When the machine may reboot into another image, in its local time."""

    days: tuple[Day, ...] = Field(default=DAYS, description="Days on which the time begins: `mon` to `sun`.")
    start: TimeOfDay = Field(description="When it begins, as `02:30`.")
    end: TimeOfDay = Field(description="When it ends. Before `start`: on the next day.")

    def check(self) -> Iterator[Finding]:
        """The window must be open at some time."""
        if not self.days:
            yield Finding(("days",), "a window on no day never opens", "leave it out for every day")
        if self.start == self.end:
            yield Finding(("end",), "the window ends when it begins", "leave `window` out for any time")


class UpdatePollConfig(Section):
    """Where to ask for newer images, and when to start them."""

    source: PollSource = Field(description="Where the offer is: `https://…` or `oci://HOST/REPOSITORY:TAG`.")
    window: Window | None = Field(default=None, description="When to reboot into a staged image; any time without it.")


class OfferedImage(Section):
    """A COSI file. Its hash must be known, as whoever can change the file must not be able to change machines."""

    url: Url = Field(description="Where it is.")
    sha384: Sha384 = Field(description="SHA-384 of its `metadata.json`.")


class Offer(Section):
    """What a server offers."""

    image: OfferedImage = Field(description="The image that machines should run.")
    rollout: Percentage = Field(default=1.0, description="How many of the machines should run it by now.")


def load_poll_config(path: Path) -> UpdatePollConfig:
    """Load the configuration; one ConfigError with every problem found."""
    return _decoded(read_document(path), UpdatePollConfig)


def parse_offer(text: str, where: str) -> Offer:
    """The offer in a document from `where`; ConfigError when it is none."""
    return _decoded(parse(text.encode(), where), Offer)


def _decoded(document: Document, model: type[AnySection]) -> AnySection:
    from twinroot.config.checks import check

    decoded = decode(document, model)
    problems = [*decoded.problems, *check(document, decoded.model, ())]
    if problems:
        raise ConfigError(problems)
    return decoded.model
