"""`output`: the image to write (image-config spec, section 4.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from twinroot.config.scalars import EmptyIsUnset, OptionalStr, integer_between
from twinroot.config.section import Section

OutputFormat = Literal[
    "vhd", "vhd-fixed", "vhdx", "qcow2", "raw", "iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image"
]
CompressionLevel = Annotated[
    int, integer_between(1, 22), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 22})
]


class CosiCompression(Section):
    """How a COSI file is compressed."""

    level: CompressionLevel | None = Field(
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


class Output(Section):
    """What is written."""

    image: OutputImage = Field(default_factory=OutputImage, description="Output image.")
