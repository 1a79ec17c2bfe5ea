"""`scripts` (image-config spec, section 4.19)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from twinroot.config.image.modules import null_is_empty
from twinroot.config.problems import Finding, quoted
from twinroot.config.scalars import OptionalStr, ScalarError, Text, from_text
from twinroot.config.section import Section


def local_path(text: str) -> str | None:
    """A relative path that stays below the directory it is relative to; None for empty text."""
    if not text:
        return None
    if text.startswith("/") or posixpath.normpath(text).split("/")[0] == "..":
        hint = "scripts lie in or below the directory of the configuration file; write a path relative to it"
        raise ScalarError(f"the path {quoted(text)} leads out of the directory of the configuration file", hint)
    return text


def variable_name(text: str) -> str:
    """Name of an environment variable."""
    if not text or "=" in text:
        raise ScalarError(f"{quoted(text)} is not a name of an environment variable", "write NAME: value")
    return text


VariableName = Annotated[str, from_text(variable_name), WithJsonSchema({"type": "string", "pattern": "^[^=]+$"})]


class Script(Section):
    """A script that runs inside the image."""

    path: Annotated[str | None, from_text(local_path)] = Field(
        default=None, description="File of the script, in or below the directory of this configuration file."
    )
    content: OptionalStr = Field(default=None, description="Text of the script instead.")
    interpreter: OptionalStr = Field(
        default=None, description="Program that runs the script. The default is `/bin/sh`."
    )
    arguments: tuple[Text, ...] = Field(default=(), description="Arguments of the script.")
    environment_variables: dict[VariableName, Annotated[Text, BeforeValidator(null_is_empty)]] = Field(
        default_factory=dict, description="Environment variables, added to the usual ones."
    )
    name: OptionalStr = Field(default=None, description="Name to show in the log.")
    sha256hash: OptionalStr = Field(
        default=None,
        alias="sha256hash",
        description="Written to the image's history by Image Customizer; ignored in a configuration.",
    )

    def check(self) -> Iterator[Finding]:
        """One origin of the text."""
        if self.path is None and self.content is None:
            yield Finding((), "a script needs either 'path' or 'content'")
        elif self.path is not None and self.content is not None:
            yield Finding(("content",), "'path' and 'content' may not be given together", "remove one of them")


class Scripts(Section):
    """Scripts that run near the end of the customisation, inside the image and without the host's network.

    The directory of the configuration file is at `/_imageconfigs`, read-only; `/tmp` and `/run` are in memory.
    """

    post_customization: tuple[Script, ...] = Field(
        default=(), description="Run when everything else is done, before SELinux labels are set."
    )
    finalize_customization: tuple[Script, ...] = Field(default=(), description="Run last of all.")
