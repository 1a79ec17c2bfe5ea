"""Giving files the SELinux labels that the image's own policy and its own `setfiles` decide on.

`setfiles` only says what it would do. Writing attributes `security.selinux` takes the host's CAP_SYS_ADMIN, which would
let a program of the image mount what it likes; so we write them, to files that we found ourselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from twinroot.errors import HostError
from twinroot.sandbox.chroot import Chroot

ATTRIBUTE = "security.selinux"
# A name may hold line breaks, a label holds no white space.
_CHANGE = re.compile(r"^Would relabel (/.*?) from (?:<no context>|\S+) to (\S+)$", re.MULTILINE | re.DOTALL)


def wanted_labels(output: str) -> dict[str, str]:
    """The labels by path that `setfiles -n -v` says it would set."""
    return dict(_CHANGE.findall(output))


def relabel(chroot: Chroot, contexts: str, path: str, *, view: str = "") -> int:
    """Give every file below `path` of the image, on the same file system, the label that it should have; how many.

    `contexts` is the image's file of rules. `view` is a prefix of `path` that the rules do not know of. CommandError
    when setfiles fails, HostError when this host does not take the labels.
    """
    prefix = ["-r", view] if view else []
    output = chroot.run(["setfiles", "-n", "-v", "-m", *prefix, contexts, path]).stdout
    labels = wanted_labels(output)
    done, outside = 0, len(str(chroot.root))
    for found in _files(chroot.root / path.lstrip("/")):
        label = labels.get(str(found)[outside:] or "/")
        if label is None:
            continue
        try:
            os.setxattr(found, ATTRIBUTE, label.encode("utf-8", "surrogateescape") + b"\0", follow_symlinks=False)
        except OSError as error:
            raise HostError(
                f"the SELinux label of {found} cannot be written on this host: {error.strerror}",
                hint="run as root, on a file system with extended attributes, such as ext4 or xfs",
            ) from error
        done += 1
    return done


def _files(top: Path) -> Iterator[Path]:
    """A directory and everything below it on its device, links as themselves."""
    yield top
    device = top.lstat().st_dev
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            path = Path(directory, name)
            if path.lstat().st_dev == device:
                yield path
        names[:] = [name for name in names if Path(directory, name).lstat().st_dev == device]
