"""`btrfs` of a file system: subvolumes and quotas (image-config spec, section 4.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from twinroot.config.image.mount_point import MountPoint
from twinroot.config.problems import Finding, quoted
from twinroot.config.scalars import PositiveDiskSize, ScalarError, from_text
from twinroot.config.section import Section

_MAX_PATH = 4095  # bytes; Linux knows no longer one


def subvolume_path(text: str) -> str:
    """A path relative to the top of the file system, such as `@root` or `var/log`."""
    if not text:
        raise ScalarError("the path is empty", "write a relative path such as @root")
    if text.startswith("/") or text.endswith("/"):
        hint = f"write {quoted(text.strip('/') or '@root')}"
        raise ScalarError(f"the path {quoted(text)} may not begin or end with '/'", hint)
    if len(text.encode()) > _MAX_PATH:
        raise ScalarError(f"the path {quoted(text)} is too long", f"at most {_MAX_PATH} bytes are possible")
    for part in text.split("/"):
        if part in ("", ".", ".."):
            raise ScalarError(f"the path {quoted(text)} may not contain {quoted(part or '//')}")
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
            (index, volume.path, volume.mount_point.target)
            for index, volume in enumerate(self.subvolumes)
            if volume.mount_point
        ]
        mounted.sort(key=lambda volume: volume[1].replace("/", "\0"))  # what lies inside a subvolume follows it
        around: list[tuple[int, str, str]] = []  # those that the current one lies in
        found: set[int] = set()
        for index, path, target in mounted:
            while around and not path.startswith(around[-1][1] + "/"):
                around.pop()
            for outer, outer_path, outer_target in around:
                if outer not in found and outer_target.startswith(target.rstrip("/") + "/"):
                    found.add(outer)
                    message = (
                        f"the subvolume {quoted(outer_path)} contains {quoted(path)}, but is mounted below it "
                        f"(at {quoted(outer_target)}, below {quoted(target)})"
                    )
                    yield Finding(("subvolumes", outer, "mountPoint"), message)
            around.append((index, path, target))
