"""Names of hosts for the image's programs: the host's /etc/resolv.conf, lent to the image while one of them runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.sandbox.paths import resolve_inside

HOST_RESOLVER = Path("/etc/resolv.conf")
_NAME = "resolv.conf"
_ASIDE = ".resolv.conf.twinroot"


@contextmanager
def lent_resolver(root: Path) -> Iterator[None]:
    """Put the host's resolver configuration into the tree for as long as the block runs.

    The image's own file or link is put aside and comes back as it was, unless a program has put another one in the
    meantime: that one stays. It is no mount, since a package that brings such a file could not put it over one.
    """
    etc = resolve_inside(root, "/etc")
    if not HOST_RESOLVER.is_file() or not etc.is_dir():
        yield
        return
    place, aside = etc / _NAME, etc / _ASIDE
    before = etc.stat()
    had = os.path.lexists(place)
    if had:
        place.rename(aside)
    shutil.copyfile(HOST_RESOLVER, place)
    lent, after = place.lstat(), etc.stat()
    try:
        yield
    finally:
        # Otherwise whoever changed the directory is the one to tell by its time.
        untouched = etc.stat().st_mtime_ns == after.st_mtime_ns
        if _same(place, lent):
            place.unlink()
            if had:
                aside.rename(place)
        elif had:
            _remove(aside)
        if untouched:
            os.utime(etc, ns=(before.st_atime_ns, before.st_mtime_ns))


def _same(place: Path, lent: os.stat_result) -> bool:
    if not os.path.lexists(place):
        return False
    found = place.lstat()
    return (found.st_ino, found.st_mtime_ns, found.st_size) == (lent.st_ino, lent.st_mtime_ns, lent.st_size)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
