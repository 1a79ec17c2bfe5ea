"""`os.additionalFiles` (host-config spec, section 7.4)."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from twinroot.config.host.scalars import AbsolutePath, FilePermissions, Text
from twinroot.config.problems import Finding
from twinroot.config.section import Section


class AdditionalFile(Section):
    """A file to write into the target OS."""

    destination: AbsolutePath = Field(
        description="Absolute path in the target OS; directories that it needs are created."
    )
    content: Text | None = Field(default=None, description="Text of the file.")
    source: AbsolutePath | None = Field(
        default=None, description="File to copy instead, in the OS in which the agent runs."
    )
    permissions: FilePermissions | None = Field(
        default=None,
        description='Permissions as octal digits that begin with 0, in quotes: `"0644"`. The default is `"0664"` for '
        "`content`, and what the file has for `source`.",
    )

    def check(self) -> Iterator[Finding]:
        """One origin of the content."""
        if self.content is None and self.source is None:
            message = "a file needs either 'content' or 'source'"
            yield Finding((), message, code="additional-file-no-content-or-source")
        elif self.content is not None and self.source is not None:
            message = "'content' and 'source' may not be given together"
            yield Finding(("source",), message, "remove one of them", code="additional-file-both-content-and-source")
