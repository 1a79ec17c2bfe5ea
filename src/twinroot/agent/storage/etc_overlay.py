"""/etc of a new root that cannot change: what is configured in it lands in an overlay (servicing spec, section 4).

The directories are where the initrd of the booted system looks for them (`rd.overlayfs`), on a file system that
belongs to the same half, so that an old half keeps its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.deploy_plan import ROOT_OVERLAY
from twinroot.errors import CommandError, InputError
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import make_directory, resolve_inside


@contextmanager
def overlaid_etc(root: Path) -> Iterator[None]:
    """/etc of the system at `root` can be changed while the block runs. What an overlay of before held is removed.

    ServicingError where it cannot be mounted.
    """
    with Mounts() as mounts:
        try:
            place = make_directory(root, ROOT_OVERLAY)
            for name in ("upper", "work"):
                _clear(place / name)
            lower = resolve_inside(root, "/etc")
            mounts.overlay(lower, place / "upper", place / "work", lower, unprivileged=False, lasting=True)
        except (CommandError, InputError) as error:
            raise ServicingError("mount-overlay", f"/etc of the new system: {error.message}") from error
        except OSError as error:
            message = f"/etc of the new system: {ROOT_OVERLAY} cannot be made: {error.strerror}"
            raise ServicingError("mount-overlay", message, hint="look at the disk and its room") from error
        yield


def _clear(path: Path) -> None:
    """Remove a directory, or what else is in its place; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
