"""`os.modules` (image-config spec, section 4.18)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from twinroot.config.problems import Finding
from twinroot.config.scalars import EmptyIsUnset, ModuleName, OneWord
from twinroot.config.section import Section

LoadMode = Literal["always", "auto", "disable", "inherit"]


def null_is_empty(value: Any) -> Any:
    """In a map of texts, null is an empty text."""
    return "" if value is None else value


class Module(Section):
    """A kernel module: whether it is loaded, and with which options."""

    name: ModuleName = Field(description="Name of the module.")
    load_mode: Annotated[LoadMode | None, EmptyIsUnset] = Field(
        default=None,
        description="`always`: load when the system starts; `auto`: when the kernel asks for it; `disable`: never; "
        "`inherit`, the default: as in the base image.",
    )
    options: dict[OneWord, Annotated[OneWord, BeforeValidator(null_is_empty)]] = Field(
        default_factory=dict, description="Options of the module. Not with `disable`."
    )

    def check(self) -> Iterator[Finding]:
        """What is never loaded has no options."""
        if self.load_mode == "disable" and self.options:
            yield Finding(("options",), "a module with loadMode disable may not have options", "remove one of them")
