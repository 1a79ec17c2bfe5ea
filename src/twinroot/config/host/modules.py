"""`os.modules` (host-config spec, section 7.5)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from twinroot.config.image.modules import null_is_empty
from twinroot.config.scalars import ModuleName, OneWord
from twinroot.config.section import Section


class Module(Section):
    """A kernel module: whether it is loaded, and with which options."""

    always_written: ClassVar[frozenset[str]] = frozenset(("load_mode", "options"))

    name: ModuleName = Field(description="Name of the module.")
    load_mode: Literal["always", "auto", "disable", "inherit"] = Field(
        default="inherit",
        description="`always`: load when the system starts; `auto`: when the kernel asks for it; `disable`: never; "
        "`inherit`, the default: as in the image.",
    )
    options: dict[OneWord, Annotated[OneWord, BeforeValidator(null_is_empty)]] = Field(
        default_factory=dict, description="Options of the module. Not for a module that is disabled."
    )
