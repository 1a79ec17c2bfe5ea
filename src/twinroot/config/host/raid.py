"""`storage.raid`: software RAID (host-config spec, section 5.6)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from twinroot.config.host.scalars import DeviceId, DeviceName
from twinroot.config.scalars import Between
from twinroot.config.section import Section

RaidLevel = Literal["raid0", "raid1", "raid5", "raid6", "raid10"]
_MAX_SECONDS = 2**63 - 1


class SoftwareRaidArray(Section):
    """A RAID array made of partitions."""

    empty_lists: ClassVar[bool] = True

    id: DeviceId = Field(description="Name by which the configuration refers to it; unique.")
    name: DeviceName = Field(description="Its name below `/dev/md`; unique.")
    level: RaidLevel = Field(description="RAID level.")
    devices: tuple[DeviceId, ...] = Field(
        description="At least two partitions to create, of the same type and the same fixed size."
    )


class Raid(Section):
    """Arrays of software RAID."""

    software: tuple[SoftwareRaidArray, ...] = Field(default=(), description="Arrays.")
    sync_timeout: Annotated[int | None, Between(0, _MAX_SECONDS)] = Field(
        default=None, description="Seconds in which all arrays must be in sync. By default nobody waits for that."
    )
