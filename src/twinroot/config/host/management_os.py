"""`managementOs`: configuration of the OS that installs (host-config spec, section 8)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.host.netplan import Netplan
from twinroot.config.host.users import User
from twinroot.config.section import Section


class ManagementOs(Section):
    """Configuration of the OS that runs the installation. Updates do not look at it."""

    netplan: Netplan | None = Field(default=None, description="Its network. The default is `os.netplan`.")
    users: tuple[User, ...] = Field(default=(), description="Users to create in it.")
