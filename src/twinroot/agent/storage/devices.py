"""Which paths the devices of a configuration have, with pairs seen from the volume that is written. Pure.

Servicing spec, sections 2.5 and 12.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.agent.states import ServicingType
from twinroot.config.host.ab_update import AbVolumePair
from twinroot.config.host.encryption import EncryptedVolume
from twinroot.config.host.graph import Graph, graph_of
from twinroot.config.host.raid import SoftwareRaidArray
from twinroot.config.host.storage import Storage
from twinroot.config.host.verity import VerityDevice


@dataclass(frozen=True)
class Devices:
    """The devices of a storage section; `partition_paths` by id as the status has them, `volume` the half to write."""

    storage: Storage
    partition_paths: Mapping[str, str]
    volume: AbVolume

    @cached_property
    def graph(self) -> Graph:
        """What lies upon what."""
        return graph_of(self.storage)

    def member(self, device_id: str, *, other: bool = False) -> str:
        """The id of the half of a pair that is written, or of the `other` one; what is no pair is itself."""
        section = self.graph.by_id[device_id].section
        if not isinstance(section, AbVolumePair):
            return device_id
        first = (self.volume == "volume-a") != other
        return section.volume_a_id if first else section.volume_b_id

    def path(self, device_id: str, *, other: bool = False) -> Path:
        """Where a device is found; that of a verity device is where the booted system opens it."""
        found = self.member(device_id, other=other)
        section = self.graph.by_id[found].section
        if isinstance(section, SoftwareRaidArray):
            return Path("/dev/md", section.name)
        if isinstance(section, EncryptedVolume):
            return Path("/dev/mapper", section.device_name)
        if isinstance(section, VerityDevice):
            return Path("/dev/mapper", section.name)
        if found not in self.partition_paths:
            message = f"the status of this machine does not know where partition {found} is"
            raise ServicingError(
                "partitions-removed", message, hint="was the machine installed with this storage section?"
            )
        return Path(self.partition_paths[found])

    def verity(self, device_id: str | None) -> VerityDevice | None:
        """The verity device with that id, None for a device of another kind."""
        device = self.graph.by_id.get(device_id or "")
        return device.section if device and isinstance(device.section, VerityDevice) else None

    def is_adopted(self, device_id: str) -> bool:
        """Whether it is a partition that was there before."""
        return any(each.id == device_id for disk in self.storage.disks for each in disk.adopted_partitions)


def update_volume(kind: ServicingType, active: AbVolume | None) -> AbVolume:
    """The half of all pairs that is written: A in an installation, else the one that is not active."""
    if kind is ServicingType.CLEAN_INSTALL:
        return "volume-a"
    return "volume-b" if active == "volume-a" else "volume-a"
