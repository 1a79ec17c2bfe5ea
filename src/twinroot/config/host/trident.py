"""`trident`: settings of the agent (host-config spec, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from pydantic import Field

from twinroot.config.host.places import DEFAULT_DATASTORE
from twinroot.config.host.scalars import AbsolutePath, Switch, Text
from twinroot.config.problems import Finding
from twinroot.config.section import Section


class Trident(Section):
    """Settings of the agent itself."""

    always_written: ClassVar[frozenset[str]] = frozenset(("disable", "phonehome"))

    disable: Switch = Field(
        default=False, description="Do not prepare the target OS for later servicing. The default is false."
    )
    datastore_path: AbsolutePath = Field(
        default=DEFAULT_DATASTORE,
        description=f"Where the target OS keeps the agent's database, by default `{DEFAULT_DATASTORE}`. It ends in "
        "`.sqlite`, and lies on a file system with a device that is no A/B pair.",
    )
    phonehome: Text | None = Field(default=None, description="URL that receives messages about the state.")
    logstream: Text | None = Field(default=None, description="URL that receives log records.")

    def check(self) -> Iterator[Finding]:
        """The extension is fixed."""
        if PurePosixPath(self.datastore_path).suffix != ".sqlite":
            message = "the path of the datastore must end in .sqlite"
            yield Finding(("datastorePath",), message, code="datastore-path-invalid-extension")
