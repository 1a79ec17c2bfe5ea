"""`os.kernelCommandLine` (host-config spec, section 7.7)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from twinroot.config.scalars import KernelArgument
from twinroot.config.section import Section


class KernelCommandLine(Section):
    """The kernel command line. Not for images that boot unified kernel images."""

    empty_lists: ClassVar[bool] = True

    extra_command_line: tuple[KernelArgument, ...] = Field(description="Arguments to add.")
