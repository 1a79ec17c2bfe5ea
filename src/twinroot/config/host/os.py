"""`os`: configuration of the target OS (host-config spec, section 7)."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, WithJsonSchema

from twinroot.config.host.extensions import Confext, Sysext
from twinroot.config.host.files import AdditionalFile
from twinroot.config.host.kernel_command_line import KernelCommandLine
from twinroot.config.host.modules import Module
from twinroot.config.host.netplan import Netplan
from twinroot.config.host.services import Services
from twinroot.config.host.users import User
from twinroot.config.problems import quoted
from twinroot.config.scalars import ScalarError, from_text
from twinroot.config.section import Section

MAX_HOSTNAME = 64
"""Characters; Linux has no room for more (HOST_NAME_MAX)."""


def host_name(text: str) -> str:
    """A host name. The peer allows everything; what no Linux takes is an error here."""
    if not re.fullmatch(r"[^\s/\x00-\x20\x7f]+", text) or len(text) > MAX_HOSTNAME:
        hint = f"use letters, digits, hyphens and dots, at most {MAX_HOSTNAME} characters"
        raise ScalarError(f"{quoted(text)} is not a host name", hint)
    return text


class Selinux(Section):
    """Settings of SELinux."""

    always_written: ClassVar[frozenset[str]] = frozenset(("mode",))

    mode: Literal["disabled", "permissive", "enforcing"] | None = Field(
        default=None, description="Mode. By default it stays as it is in the image."
    )


class Os(Section):
    """Configuration of the target OS."""

    always_written: ClassVar[frozenset[str]] = frozenset(("selinux", "users", "uefi_fallback"))

    netplan: Netplan | None = Field(default=None, description="The network.")
    selinux: Selinux = Field(default_factory=Selinux, description="SELinux.")
    users: tuple[User, ...] = Field(default=(), description="Users to create or to change.")
    additional_files: tuple[AdditionalFile, ...] = Field(default=(), description="Files to write.")
    hostname: (
        Annotated[str, from_text(host_name), WithJsonSchema({"type": "string", "maxLength": MAX_HOSTNAME})] | None
    ) = Field(default=None, description="Host name. Without it an A/B update keeps the current one.")
    modules: tuple[Module, ...] = Field(default=(), description="Kernel modules.")
    services: Services = Field(default_factory=Services, description="systemd units.")
    kernel_command_line: KernelCommandLine = Field(
        default_factory=lambda: KernelCommandLine(extra_command_line=()), description="Kernel command line."
    )
    sysexts: tuple[Sysext, ...] = Field(default=(), description="System extension images.")
    confexts: tuple[Confext, ...] = Field(default=(), description="Configuration extension images.")
    uefi_fallback: Literal["conservative", "optimistic", "disabled"] = Field(
        default="conservative",
        description="What the firmware starts when all boot entries are lost: `conservative`, the default, for the OS "
        "that is proven to work, `optimistic` for the newest, `disabled` to leave it alone.",
    )
