"""`output`: the image to write, and what else comes out (image-config spec, section 4.3)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from twinroot.config.problems import did_you_mean, one_of, quoted
from twinroot.config.scalars import Between, EmptyIsUnset, NonEmptyStr, OptionalStr, ScalarError, from_text
from twinroot.config.section import Section

OutputFormat = Literal[
    "vhd", "vhd-fixed", "vhdx", "qcow2", "raw", "iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image"
]
ARTIFACTS = ("ukis", "shim", "bootloader", "verity-hash")


def artifact(text: str) -> str:
    """One kind of artifact; empty text is accepted and stands for nothing."""
    if not text or text in ARTIFACTS:
        return text
    if text == "uki-addons":
        raise ScalarError("'uki-addons' is not allowed here", "'ukis' includes the add-ons")
    hint = did_you_mean(text, ARTIFACTS)
    raise ScalarError(f"{quoted(text)} is not allowed here: use {one_of(ARTIFACTS)}", hint)


def not_empty(items: Any) -> Any:
    """A list with something in it. Asked before the items are looked at: a wrong item is one, too."""
    if isinstance(items, (list, tuple)) and not items:
        raise ScalarError("the list may not be empty")
    return items


class CosiCompression(Section):
    """How a COSI file is compressed."""

    level: Annotated[int | None, Between(1, 22)] = Field(
        default=None, description="zstd level, 1 to 22. The default is 3 (the peer's is 9)."
    )


class Cosi(Section):
    """Settings for COSI output; other formats ignore them."""

    compression: CosiCompression = Field(default_factory=CosiCompression, description="Compression.")


class OutputImage(Section):
    """The image to write. The command line overrides path, format and level."""

    path: OptionalStr = Field(
        default=None, description="Output file, relative to the directory of this configuration file."
    )
    format: Annotated[OutputFormat | None, EmptyIsUnset] = Field(default=None, description="Format of the output.")
    cosi: Cosi = Field(default_factory=Cosi, description="Settings for COSI output.")


class Artifacts(Section):
    """Files of the image to write out beside it, for example to sign them."""

    path: NonEmptyStr = Field(description="Directory to fill, relative to the directory of this configuration file.")
    items: Annotated[
        tuple[Annotated[str, from_text(artifact), WithJsonSchema({"enum": [*ARTIFACTS, ""]})], ...],
        BeforeValidator(not_empty),
    ] = Field(description="What to write out.", json_schema_extra={"minItems": 1})


class Output(Section):
    """What is written."""

    image: OutputImage = Field(default_factory=OutputImage, description="Output image.")
    artifacts: Artifacts | None = Field(
        default=None, description="Files to write out beside the image. Needs the preview feature `output-artifacts`."
    )
    selinux_policy_path: OptionalStr = Field(
        default=None,
        description="Directory that receives the image's SELinux policy. Needs the preview feature "
        "`output-selinux-policy`.",
    )
