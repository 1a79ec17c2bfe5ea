"""`os.bootloader` (image-config spec, section 4.13)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinroot.config.scalars import EmptyIsUnset
from twinroot.config.section import Section


class Bootloader(Section):
    """How the boot loader configuration is made."""

    reset_type: Annotated[Literal["hard-reset"] | None, EmptyIsUnset] = Field(
        default=None,
        description="`hard-reset` installs the boot loader anew and drops its configuration; "
        "without it the base image's configuration is kept. Required with `storage.disks`.",
    )
