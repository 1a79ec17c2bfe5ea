"""`storage.abUpdate`: pairs of volumes (host-config spec, section 5.7)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from twinroot.config.host.scalars import DeviceId
from twinroot.config.section import Section


class AbVolumePair(Section):
    """Two volumes, one of which is in use while the other one is written."""

    id: DeviceId = Field(description="Name by which file systems and verity devices refer to the pair; unique.")
    volume_a_id: DeviceId = Field(description="Volume A: a partition, RAID array or encrypted volume.")
    volume_b_id: DeviceId = Field(description="Volume B, of the same kind, partition type and fixed size.")


class AbUpdate(Section):
    """Pairs of volumes for A/B updates. All of them switch together."""

    empty_lists: ClassVar[bool] = True

    volume_pairs: tuple[AbVolumePair, ...] = Field(description="The pairs.")
