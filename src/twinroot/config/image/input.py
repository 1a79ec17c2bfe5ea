"""`input`: the base image (image-config spec, section 4.2)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.scalars import OptionalStr
from twinroot.config.section import Section


class InputImage(Section):
    """The base image. The command line overrides it."""

    path: OptionalStr = Field(
        default=None, description="Image file, relative to the directory of this configuration file."
    )


class Input(Section):
    """What is built upon."""

    image: InputImage = Field(default_factory=InputImage, description="Base image.")
