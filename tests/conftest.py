"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes is the machine's affair: tests do not time anything.
settings.register_profile("twinroot", deadline=None)
settings.load_profile("twinroot")
