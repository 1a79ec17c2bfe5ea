"""`os`: the content of the operating system (image-config spec, section 4.13)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinroot.config.image.bootloader import Bootloader
from twinroot.config.image.files import AdditionalDir, AdditionalFile
from twinroot.config.image.kernel_command_line import KernelCommandLine
from twinroot.config.image.modules import Module
from twinroot.config.image.overlays import Overlay
from twinroot.config.image.packages import Packages
from twinroot.config.image.selinux import Selinux
from twinroot.config.image.services import Services
from twinroot.config.image.uki import Uki
from twinroot.config.image.users import Group, User
from twinroot.config.scalars import EmptyIsUnset, Hostname
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
    additional_files: tuple[AdditionalFile, ...] = Field(default=(), description="Files to put into the image.")
    additional_dirs: tuple[AdditionalDir, ...] = Field(default=(), description="Directories to copy into the image.")
    groups: tuple[Group, ...] = Field(default=(), description="Groups to create.")
    users: tuple[User, ...] = Field(default=(), description="Users to create or to change.")
    modules: tuple[Module, ...] = Field(default=(), description="Kernel modules.")
    overlays: tuple[Overlay, ...] | None = Field(default=None, description="Overlay file systems.")
    selinux: Selinux = Field(default_factory=Selinux, description="Security-enhanced Linux.")
    uki: Uki | None = Field(default=None, description="Unified kernel images. Needs the preview feature `uki`.")
    image_history: Annotated[Literal["none"] | None, EmptyIsUnset] = Field(
        default=None, description="`none` writes no history of customisations into the image."
    )
