"""`storage`: disks, devices on them, file systems (host-config spec, section 5). Rules between them: `graph_rules`."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.host.ab_update import AbUpdate
from twinroot.config.host.disks import Disk
from twinroot.config.host.encryption import Encryption
from twinroot.config.host.filesystems import Filesystem, Swap
from twinroot.config.host.raid import Raid
from twinroot.config.host.verity import VerityDevice
from twinroot.config.section import Section


class Storage(Section):
    """Disks, devices on them, file systems. In an update with an image, without this section what is there stays."""

    disks: tuple[Disk, ...] = Field(default=(), description="Disks to partition.")
    encryption: Encryption | None = Field(default=None, description="Encrypted volumes.")
    raid: Raid = Field(default_factory=Raid, description="Software RAID.")
    ab_update: AbUpdate | None = Field(default=None, description="Pairs of volumes for A/B updates.")
    filesystems: tuple[Filesystem, ...] = Field(default=(), description="File systems and where they are mounted.")
    verity: tuple[VerityDevice, ...] = Field(default=(), description="Devices that dm-verity protects; at most one.")
    swap: tuple[Swap, ...] = Field(default=(), description="Swap devices.")
