"""`os.selinux` (image-config spec, section 4.20)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinroot.config.scalars import EmptyIsUnset
from twinroot.config.section import Section

SelinuxMode = Literal["disabled", "enforcing", "permissive", "force-enforcing"]


class Selinux(Section):
    """SELinux."""

    mode: Annotated[SelinuxMode | None, EmptyIsUnset] = Field(
        default=None,
        description="`force-enforcing` is `enforcing` that a changed configuration file on the machine cannot undo. "
        "By default the image keeps its mode.",
    )
