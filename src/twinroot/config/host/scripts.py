"""`scripts` (host-config spec, section 9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from twinroot.config.host.scalars import Text
from twinroot.config.image.modules import null_is_empty
from twinroot.config.image.scripts import VariableName
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.section import Section

ServicingSelection = Literal["clean-install", "runtime-update", "ab-update", "all"]


class RunsOn(Section):
    """Something that runs in some kinds of servicing."""

    name: Text = Field(default="", description="Name to show in the log and in errors.")
    run_on: tuple[ServicingSelection, ...] = Field(
        default=(), description="Kinds of servicing in which it runs. Without any, it never does."
    )


class Script(RunsOn):
    """A script. It finds `SERVICING_TYPE` and `TARGET_ROOT` in its environment."""

    interpreter: Text | None = Field(
        default=None, description="Program that runs the script. The default is `/bin/sh`."
    )
    content: Text | None = Field(default=None, description="Text of the script.")
    path: Text | None = Field(
        default=None, description="File of the script instead, in the OS in which the agent runs; absolute."
    )
    arguments: tuple[Text, ...] = Field(default=(), description="Arguments of the script.")
    environment_variables: dict[VariableName, Annotated[Text, BeforeValidator(null_is_empty)]] = Field(
        default_factory=dict, description="Environment variables. Those that the agent sets itself win."
    )

    def check(self) -> Iterator[Finding]:
        """One origin of the text."""
        yield from self.origin()

    def origin(self) -> Iterator[Finding]:
        """Exactly one of `content` and `path`."""
        if self.path is None and self.content is None:
            yield Finding((), "a script needs either 'content' or 'path'")
        elif self.path is not None and self.content is not None:
            yield Finding(("path",), "'content' and 'path' may not be given together", "remove one of them")


class Scripts(Section):
    """Scripts that run while a machine is serviced."""

    pre_servicing: tuple[Script, ...] = Field(
        default=(), description="Run in the servicing OS before anything else, at an installation or A/B update."
    )
    post_provision: tuple[Script, ...] = Field(
        default=(), description="Run in the servicing OS when the new root is written, at `$TARGET_ROOT`."
    )
    post_configure: tuple[Script, ...] = Field(
        default=(), description="Run inside the target OS when it is configured."
    )

    def check(self) -> Iterator[Finding]:
        """What runs when the working directory is another one has an absolute path."""
        for key, scripts in (("postProvision", self.post_provision), ("postConfigure", self.post_configure)):
            for index, script in enumerate(scripts):
                path: KeyPath = (key, index, "path")
                if script.path is not None and not script.path.startswith("/"):
                    yield Finding(path, "the path of the script must be absolute", code="path-not-absolute")

    @property
    def any(self) -> bool:
        """Whether there is any script."""
        return bool(self.pre_servicing or self.post_provision or self.post_configure)
