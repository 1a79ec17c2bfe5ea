"""`btrfs` of a file system: subvolumes and quotas (image-config spec, section 4.10)."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath
from typing import Annotated

from pydantic import Field

from twinroot.config.image.mount_point import MountPoint
from twinroot.config.problems import Finding, quoted
from twinroot.config.scalars import PositiveDiskSize, ScalarError, from_text
from twinroot.config.section import Section


def subvolume_path(text: str) -> str:
    """A path relative to the top of the file system, such as `@root` or `var/log`."""
    if not text:
        raise ScalarError("the path is empty", "write a relative path such as @root")
    if text.startswith("/") or text.endswith("/"):
        raise ScalarError(f"the path {quoted(text)} may not begin or end with '/'", f"write {quoted(text.strip('/'))}")
    for part in text.split("/"):
        if part in ("", ".", ".."):
            raise ScalarError(f"the path {quoted(text)} may not contain {'//' if not part else quoted(part)}")
    return text


class BtrfsQuota(Section):
    """Limits of a subvolume."""

    referenced_limit: PositiveDiskSize | None = Field(default=None, description="Limit of everything it refers to.")
    exclusive_limit: PositiveDiskSize | None = Field(
        default=None, description="Limit of what it shares with no other subvolume."
    )


class BtrfsSubvolume(Section):
    """A subvolume."""

    path: Annotated[str, from_text(subvolume_path)] = Field(
        description="Path relative to the top of the file system, such as `@root` or `var/log`; unique."
    )
    mount_point: MountPoint | None = Field(default=None, description="Where it is mounted.")
    quota: BtrfsQuota | None = Field(default=None, description="Limits.")


class Btrfs(Section):
    """What is particular to a btrfs file system."""

    subvolumes: tuple[BtrfsSubvolume, ...] = Field(default=(), description="Subvolumes.")

    def check(self) -> Iterator[Finding]:
        """Paths are unique, and no subvolume is mounted below one that it contains."""
        seen: set[str] = set()
        for index, subvolume in enumerate(self.subvolumes):
            if subvolume.path in seen:
                message = f"the path {quoted(subvolume.path)} is already used by another subvolume"
                yield Finding(("subvolumes", index, "path"), message)
            seen.add(subvolume.path)
        yield from self._loops()

    def _loops(self) -> Iterator[Finding]:
        """Subvolumes that are mounted below the mount point of one that lies inside them."""
        mounted = [
            (index, volume.path, normpath(volume.mount_point.path))
            for index, volume in enumerate(self.subvolumes)
            if volume.mount_point
        ]
        for index, path, target in mounted:
            for _, inner, inner_target in mounted:
                if inner.startswith(path + "/") and target.startswith(inner_target.rstrip("/") + "/"):
                    message = (
                        f"the subvolume {quoted(path)} contains {quoted(inner)}, but is mounted below it "
                        f"(at {target}, below {inner_target})"
                    )
                    yield Finding(("subvolumes", index, "mountPoint"), message)
                    break
