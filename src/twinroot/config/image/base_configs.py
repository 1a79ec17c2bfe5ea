"""`baseConfigs`: configurations that this one builds upon (image-config spec, sections 4.24 and 8)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.scalars import NonEmptyStr
from twinroot.config.section import Section


class BaseConfig(Section):
    """A configuration file to build upon."""

    path: NonEmptyStr = Field(description="The file, relative to the directory of this configuration file.")
