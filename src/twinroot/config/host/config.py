"""The top level of a host configuration (host-config spec, section 2)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.host.health import Health
from twinroot.config.host.internal_params import InternalParams
from twinroot.config.host.management_os import ManagementOs
from twinroot.config.host.os import Os
from twinroot.config.host.os_image import OsImage
from twinroot.config.host.scripts import Scripts
from twinroot.config.host.storage import Storage
from twinroot.config.host.trident import Trident
from twinroot.config.section import Section


class HostConfig(Section):
    """A host configuration: what a machine shall be like."""

    image: OsImage | None = Field(
        default=None, description="The OS image to deploy. An installation and an A/B update need it."
    )
    storage: Storage = Field(default_factory=Storage, description="Disks, devices on them, file systems.")
    os: Os = Field(default_factory=Os, description="What the OS that is deployed is like.")
    management_os: ManagementOs = Field(
        default_factory=ManagementOs, description="Configuration of the OS that runs the installation."
    )
    scripts: Scripts = Field(default_factory=Scripts, description="Scripts that run while the machine is serviced.")
    health: Health = Field(default_factory=Health, description="Checks that must succeed before an OS is kept.")
    trident: Trident = Field(default_factory=Trident, description="What the agent is told about itself.")
    internal_params: InternalParams = Field(
        default_factory=dict, description="Switches for tests and emergencies; each use is a warning."
    )
