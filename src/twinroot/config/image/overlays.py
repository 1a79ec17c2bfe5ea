"""`os.overlays` (image-config spec, section 4.21)."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath

from pydantic import Field

from twinroot.config.problems import Finding, quoted
from twinroot.config.scalars import Flag, InImagePath, MountOptions
from twinroot.config.section import Section


def normal(path: str) -> str:
    """The usual spelling of an absolute path. POSIX keeps two slashes at the beginning; for Linux they are one."""
    return normpath("/" + path.lstrip("/"))


class Overlay(Section):
    """A writable overlay file system over directories of the image."""

    mount_point: InImagePath = Field(description="Where the overlay is mounted; unique.")
    lower_dirs: tuple[InImagePath, ...] = Field(
        default=(), description="Directories to see through the overlay, the uppermost first."
    )
    upper_dir: InImagePath = Field(description="Directory that holds the changes; unique.")
    work_dir: InImagePath = Field(
        description="Empty directory on the same file system as `upperDir`, neither inside the other; unique."
    )
    is_initrd_overlay: Flag = Field(default=False, description="Mount it in the initramfs already.")
    mount_dependencies: tuple[InImagePath, ...] = Field(
        default=(), description="Mount points that must be mounted before."
    )
    mount_options: MountOptions = Field(default="", description="Further mount options.")

    def check(self) -> Iterator[Finding]:
        """There is something to see; `upperDir` and `workDir` lie apart."""
        if not self.lower_dirs:
            hint = f"to see what is there now, write lowerDirs: [{self.mount_point}]"
            yield Finding(("lowerDirs",), "an overlay without 'lowerDirs' cannot be mounted", hint)
        upper, work = normal(self.upper_dir), normal(self.work_dir)
        if upper == work:
            yield Finding(("workDir",), "'upperDir' and 'workDir' must be different directories")
        elif work.startswith(upper.rstrip("/") + "/"):
            yield Finding(("workDir",), f"'workDir' may not lie inside 'upperDir' ({quoted(upper)})")
        elif upper.startswith(work.rstrip("/") + "/"):
            yield Finding(("upperDir",), f"'upperDir' may not lie inside 'workDir' ({quoted(work)})")
