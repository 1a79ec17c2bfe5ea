"""`kernelCommandLine` of `os`, `iso` and `pxe` (image-config spec, section 4.19)."""

from __future__ import annotations

from pydantic import Field

from twinroot.config.scalars import KernelArgument
from twinroot.config.section import Section


class KernelCommandLine(Section):
    """Additions to the kernel command line."""

    extra_command_line: tuple[KernelArgument, ...] = Field(
        default=(),
        description="Kernel arguments to append. Each item is one argument; it is quoted where it contains spaces.",
    )
