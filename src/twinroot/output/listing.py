"""The files of a filesystem in a disk image, listed without mounting it: ext by our own reader, FAT through mtools."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from twinroot.errors import FormatError
from twinroot.formats.cosi.reader import pread
from twinroot.formats.ext4.reader import Ext4, Found
from twinroot.formats.source import FileRegion
from twinroot.output.contents import Content, file_content, whole_file
from twinroot.output.inspection import PartitionFacts
from twinroot.plan.disk import EXT_TYPES
from twinroot.tools import fat

_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket", stat.S_IFCHR: "character device", stat.S_IFBLK: "block device",
}  # fmt: skip
_LONGEST_TARGET = 1 << 16


@dataclass(frozen=True)
class Entry:
    """One name. `mode` are the permission bits; owner and mode are None on FAT, which has none.

    `target` is that of a link, `device` major and minor of a device; `times` in nanoseconds by name; `attributes` are
    extended ones. `content` is None for all but files.
    """

    path: str
    kind: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    links: int | None = None
    target: str | None = None
    device: str | None = None
    times: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, bytes] = field(default_factory=dict)
    content: Content | None = None

    @property
    def size(self) -> int | None:
        """Bytes of a file."""
        return self.content.size if self.content else None


Listing = dict[str, Entry]


def can_list(fs_type: str | None) -> bool:
    """Whether `open_listing` reads a type of filesystem."""
    return fs_type in (*EXT_TYPES, "vfat")


@contextmanager
def open_listing(raw: Path, partition: PartitionFacts, scratch: Path) -> Iterator[Listing]:
    """Every entry by its path, contents readable until the end; FormatError for a damaged filesystem."""
    start = partition.start or 0
    if partition.fs_type == "vfat":
        yield _fat(raw, start, scratch / f"fat-{partition.number}")
        return
    fd = os.open(raw, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield _ext(Ext4(lambda offset, size: pread(fd, start + offset, size), partition.size))
    except FormatError as error:
        raise FormatError(f"partition {partition.number}: {error.message}", where=error.where) from error
    finally:
        os.close(fd)


def _ext(filesystem: Ext4) -> Listing:
    return {found.path: _ext_entry(filesystem, found) for found in filesystem.walk()}


def _ext_entry(filesystem: Ext4, found: Found) -> Entry:
    inode = found.inode
    kind = _KINDS.get(stat.S_IFMT(inode.mode))
    if kind is None:
        raise FormatError(f"{found.path} is of no kind that there is")
    target = device = content = None
    if kind == "link":
        target = os.fsdecode(filesystem.read(inode, _LONGEST_TARGET))
    elif kind == "file":
        content = Content(inode.size, partial(filesystem.runs, inode))
    elif kind.endswith("device"):
        device = _device(inode.block)
    return Entry(
        path=found.path,
        kind=kind,
        mode=stat.S_IMODE(inode.mode),
        uid=inode.uid,
        gid=inode.gid,
        links=inode.links if kind == "file" else None,
        target=target,
        device=device,
        times={"modified": inode.mtime, "accessed": inode.atime, "changed": inode.ctime},
        attributes=filesystem.attributes(inode),
        content=content,
    )


def _device(block: bytes) -> str:
    """`major:minor`: in the old form in the first four bytes, else in the new form in the next (fs/ext4/inode.c)."""
    old, new = (int.from_bytes(block[at : at + 4], "little") for at in (0, 4))
    if old:
        return f"{old >> 8 & 0xFF}:{old & 0xFF}"
    return f"{new >> 8 & 0xFFF}:{new & 0xFF | new >> 12 & 0xFFF00}"


def _fat(raw: Path, offset: int, directory: Path) -> Listing:
    fat.extract(raw, offset, directory)
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        name = f"/{path.relative_to(directory)}"
        is_file = stat.S_ISREG(status.st_mode)
        content = whole_file(path) if is_file else None
        kind = "file" if is_file else "directory"
        found[name] = Entry(name, kind, times={"modified": status.st_mtime_ns}, content=content)
    return found


def partition_content(raw: Path, partition: PartitionFacts) -> Content:
    """The bytes of a whole partition."""
    return file_content(FileRegion(raw, partition.start or 0, partition.size))
