"""`mountPoint` of file systems and subvolumes (image-config spec, section 4.8)."""

from __future__ import annotations

from posixpath import normpath
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from twinroot.config.scalars import EmptyIsUnset, InImagePath, MountOptions
from twinroot.config.section import ShortSection

MountIdType = Literal["uuid", "part-uuid", "part-label"]


class MountPoint(ShortSection):
    """Where a file system is mounted; a path alone may stand for the object."""

    short_form: ClassVar[str] = "path"

    path: InImagePath = Field(description="Absolute path in the image.")
    options: MountOptions = Field(default="", description="Mount options for fstab, where empty means `defaults`.")
    id_type: Annotated[MountIdType | None, EmptyIsUnset] = Field(
        default=None, description="How fstab names the device. The default is `part-uuid`."
    )

    @property
    def target(self) -> str:
        """The path in its usual spelling. POSIX keeps two slashes at the beginning; for Linux they are one."""
        return normpath("/" + self.path.lstrip("/"))
