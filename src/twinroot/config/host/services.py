"""`os.services` (host-config spec, section 7.6)."""

from __future__ import annotations

from typing import ClassVar

from twinroot.config.image import services


class Services(services.Services):
    """systemd units to enable and to disable, as in image configurations."""

    always_written: ClassVar[frozenset[str]] = frozenset(("enable", "disable"))
