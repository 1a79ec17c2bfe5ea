"""Every identifier of an image follows from one: its image id.

Disk, partition and filesystem UUIDs are derived from the image id and what they are for, so that a build with a
given id is the same every time and two builds with different ids share none. The image id is random, or follows from
the inputs where builds are to be reproducible.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

# The namespace of image ids that are derived from inputs: a random UUID, fixed for ever.
_INPUTS = UUID("0b0d8a1e-6a53-4f0e-9c43-5d7d5d5c2a7e")


@dataclass(frozen=True)
class Identity:
    """The source of an image's identifiers."""

    image_id: UUID

    def uuid(self, purpose: str) -> UUID:
        """The UUID for a purpose, such as `partition root-a`."""
        return uuid5(self.image_id, purpose)

    def volume_id(self, purpose: str) -> str:
        """A FAT volume id as blkid prints it: `1A2B-3C4D`."""
        digits = self.uuid(purpose).hex[:8].upper()
        return f"{digits[:4]}-{digits[4:]}"


def derived_id(inputs: Iterable[tuple[str, str]], epoch: int) -> UUID:
    """The image id of a reproducible build: of its inputs, each a role and the hash of its content, and its epoch."""
    rows = [f"{role} {content}" for role, content in inputs]
    return uuid5(_INPUTS, "\n".join([f"epoch {epoch}", *rows]))
