"""Every identifier of an image follows from one: its image id.

Disk, partition and filesystem UUIDs are derived from the image id and what they are for, so that a build with a
given id is the same every time and two builds with different ids share none.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5


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
