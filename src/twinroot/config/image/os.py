"""`os`: the content of the operating system (image-config spec, section 4.13)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.image.bootloader import Bootloader
from twinroot.config.image.kernel_command_line import KernelCommandLine
from twinroot.config.image.packages import Packages
from twinroot.config.image.services import Services
from twinroot.config.scalars import Hostname
from twinroot.config.section import Section


class Os(Section):
    """What changes in the operating system. The presence of this object alone asks for customisation."""

    hostname: Hostname = Field(default=None, description="Host name of the system.")
    bootloader: Bootloader = Field(default_factory=Bootloader, description="Boot loader.")
    kernel_command_line: KernelCommandLine = Field(
        default_factory=KernelCommandLine, description="Kernel command line."
    )
    packages: Packages = Field(default_factory=Packages, description="Packages.")
    services: Services = Field(default_factory=Services, description="systemd units.")
