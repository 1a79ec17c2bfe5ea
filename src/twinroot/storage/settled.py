"""Making a finished ext filesystem independent of when and how it was built: the times of its inodes, a statistic.

`mke2fs -d` copies the change time of every file of the tree, which no program can set: it is when the build wrote
the file. It says nothing about an image, so it becomes the modification time. The access time of the root directory is
that of reading the tree a moment ago, and becomes the modification time too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from twinroot.formats.ext4.layout import ROOT_INODE
from twinroot.formats.ext4.reader import Ext4
from twinroot.tools import e2fsprogs

_SECOND = 10**9


def settle_filesystem(image: Path) -> None:
    """Do so in the filesystem that fills the file `image`."""
    fd = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        filesystem = Ext4(lambda offset, size: os.pread(fd, size, offset), os.fstat(fd).st_size)
        fields = list(changed_fields(filesystem))
    finally:
        os.close(fd)
    if fields:
        e2fsprogs.set_inode_fields(image, fields)
    e2fsprogs.reset_write_count(image)


def changed_fields(filesystem: Ext4) -> Iterator[tuple[int, str, str]]:
    """Inode number, name of the field and value as debugfs takes them, once for each inode."""
    seen = set()
    for found in filesystem.walk():
        inode = found.inode
        if inode.number in seen:
            continue
        seen.add(inode.number)
        if inode.ctime != inode.mtime:
            yield inode.number, "ctime", f"@{inode.mtime // _SECOND}"
        if inode.number == ROOT_INODE and inode.atime != inode.mtime:
            yield inode.number, "atime", f"@{inode.mtime // _SECOND}"
