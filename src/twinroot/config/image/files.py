"""`additionalFiles` and `additionalDirs` (image-config spec, sections 4.15 and 4.16)."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from twinroot.config.problems import Finding
from twinroot.config.scalars import Destination, NonEmptyStr, OptionalStr, Permissions, Text
from twinroot.config.section import Section

_RECORDED = "Written to the image's history by Image Customizer; ignored in a configuration."


class AdditionalFile(Section):
    """A file to put into the image, or onto the media of an ISO or PXE output."""

    destination: Destination = Field(
        description="Absolute path of the file in the image; for `iso` and `pxe`, a path on the media. What is there "
        "already, a link too, is replaced."
    )
    source: OptionalStr = Field(
        default=None, description="File to copy, relative to the directory of this configuration file."
    )
    content: Text | None = Field(default=None, description="Text to write instead; it may be empty.")
    permissions: Permissions | None = Field(
        default=None,
        description="Permissions. The default are those of `source`, setuid and setgid bits too; 644 for `content`.",
    )
    sha256hash: OptionalStr = Field(default=None, alias="sha256hash", description=_RECORDED)

    def check(self) -> Iterator[Finding]:
        """One origin of the content."""
        if self.source is None and self.content is None:
            yield Finding((), "a file needs either 'source' or 'content'")
        elif self.source is not None and self.content is not None:
            yield Finding(("content",), "'source' and 'content' may not be given together", "remove one of them")


class AdditionalDir(Section):
    """A directory whose content is copied into the image, symbolic links as links."""

    source: NonEmptyStr = Field(
        description="Directory to copy from, relative to the directory of this configuration file."
    )
    destination: Destination = Field(description="Absolute path of the directory in the image to copy into.")
    new_dir_permissions: Permissions | None = Field(
        default=None, description="Permissions of directories that are created. The default is 755."
    )
    merged_dir_permissions: Permissions | None = Field(
        default=None, description="Permissions of directories that exist already. By default they keep theirs."
    )
    child_file_permissions: Permissions | None = Field(
        default=None, description="Permissions of every copied file. The default is 755."
    )
    sha256hashmap: dict[str, Text] | None = Field(default=None, alias="sha256hashmap", description=_RECORDED)
