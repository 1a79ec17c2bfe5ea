"""The configuration of `inject-files` (image-config spec, section 4.25)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinroot.config.image.preview_features import PreviewFeature
from twinroot.config.scalars import EmptyIsUnset, NonEmptyStr, OptionalStr
from twinroot.config.section import Section


class InjectPartition(Section):
    """The partition to write into."""

    id_type: Annotated[Literal["uuid", "part-uuid", "part-label"] | None, EmptyIsUnset] = Field(
        default=None, description="What `id` is: `uuid` of the file system, `part-uuid` (the default) or `part-label`."
    )
    id: NonEmptyStr = Field(description="UUID or label.")


class InjectFile(Section):
    """A file to write into a partition."""

    partition: InjectPartition = Field(description="Where the file goes.")
    source: NonEmptyStr = Field(description="The file, relative to the directory of this configuration file.")
    destination: NonEmptyStr = Field(description="Path in the partition.")
    type: OptionalStr = Field(
        default=None,
        description="What the file is: `ukis`, `uki-addons`, `shim`, `bootloader`, `verity-hash`. For people.",
    )


class InjectFilesConfig(Section):
    """Files to write into the partitions of an existing image, such as boot files that were signed meanwhile."""

    inject_files: tuple[InjectFile, ...] = Field(default=(), description="The files.")
    preview_features: tuple[PreviewFeature, ...] = Field(
        default=(), description="Names of preview features; `inject-files` must be among them."
    )
