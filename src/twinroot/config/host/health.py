"""`health`: what must be well before an OS is kept (host-config spec, section 10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from twinroot.config.host.scalars import Text
from twinroot.config.host.scripts import Script
from twinroot.config.problems import Finding
from twinroot.config.scalars import Between
from twinroot.config.section import Section

DEFAULT_TIMEOUT = 30
_ONLY_SCRIPTS = ("content", "path", "interpreter", "arguments", "environment_variables")


class Check(Script):
    """A check: services that must be active, or a script that must succeed."""

    systemd_services: tuple[Text, ...] | None = Field(
        default=None, description="Units that must become active. With it the check is no script."
    )
    timeout_seconds: Annotated[int | None, Between(0, 2**32 - 1)] = Field(
        default=None,
        description=f"Seconds in which the units must become active. The default is {DEFAULT_TIMEOUT}.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_services(cls, data: Any) -> Any:
        """The key alone makes it a check of units, also with nothing behind it."""
        key = "systemdServices"
        return data | {key: []} if isinstance(data, dict) and data.get(key, ()) is None else data

    @property
    def timeout(self) -> int:
        """Seconds to wait for units."""
        return DEFAULT_TIMEOUT if self.timeout_seconds is None else self.timeout_seconds

    def check(self) -> Iterator[Finding]:
        """Units, or a script."""
        if self.systemd_services is None:
            yield from self.origin()
            if self.timeout_seconds is not None:
                yield Finding(("timeoutSeconds",), "this key is only allowed together with 'systemdServices'")
            return
        for name in _ONLY_SCRIPTS:
            if name in self.model_fields_set:
                key = type(self).model_fields[name].alias or name
                yield Finding((key,), "this key is not allowed together with 'systemdServices'")


class Health(Section):
    """What must be well before an OS is kept: else a machine goes back to the OS before."""

    checks: tuple[Check, ...] = Field(default=(), description="Checks, which all run at the same time.")
