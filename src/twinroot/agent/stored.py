"""Statuses as they are stored, without what is needed to understand them. Pure.

Models of the language take most of the time of a short command; what only passes a status on does without them.
"""

from __future__ import annotations

COMPATIBLE_VERSION = "0.22.0"
"""Version of the peer whose statuses these are. The peer takes no part of a chain of rollbacks from versions below
0.21.0, so our own version would end it."""


def is_as_printed(text: str) -> bool:
    """Whether a stored status is what `trident get` prints: it has the form of this version."""
    return text.startswith("spec:") and text.endswith(f"\ntridentVersion: {COMPATIBLE_VERSION}\n")
