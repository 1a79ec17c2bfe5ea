"""`os.services` (image-config spec, section 4.18)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.scalars import NonEmptyStr
from twinroot.config.section import Section


class Services(Section):
    """systemd units to enable and to disable. Enabling comes first."""

    enable: tuple[NonEmptyStr, ...] = Field(default=(), description="Units to enable, for example `sshd`.")
    disable: tuple[NonEmptyStr, ...] = Field(default=(), description="Units to disable.")
