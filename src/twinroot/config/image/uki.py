"""`os.uki`: unified kernel images (image-config spec, section 4.22)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinroot.config.scalars import EmptyIsUnset
from twinroot.config.section import Section

UkiMode = Literal["create", "passthrough", "modify"]


class Uki(Section):
    """Unified kernel images."""

    mode: Annotated[UkiMode | None, EmptyIsUnset] = Field(
        default=None,
        description="`create` builds them, also anew from those of the base image; `passthrough` keeps those there "
        "are; `modify` changes only the add-on with the command line. The default is `create`.",
    )
