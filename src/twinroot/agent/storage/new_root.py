"""The new system mounted, with everything below it, while it is prepared (servicing spec, section 6.1, step 8).

What is mounted was made by somebody else: every mount point is looked up inside the new root, so that no link of an
image leads a mount elsewhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.deploy_plan import IN_MEMORY, MountStep
from twinroot.errors import CommandError, InputError
from twinroot.interrupts import held
from twinroot.sandbox.mounts import unmount_below
from twinroot.sandbox.paths import make_directory
from twinroot.tools.run import run

NEW_ROOT = Path("/mnt/newroot")
FALLBACK = Path("/var/lib/trident-overlay/newroot")
_ATTEMPTS = 5


def place_for_new_root() -> Path:
    """Where the new root is mounted: where /mnt cannot be written, in the place that is made for it."""
    return NEW_ROOT if os.access("/mnt", os.W_OK) else FALLBACK


@contextmanager
def mounted_root(steps: Sequence[MountStep], root: Path) -> Iterator[Path]:
    """Mount all steps below `root` while the block runs; complete on the disks when it has ended without an error.

    What an interrupted run left there is unmounted first. ServicingError for a mount point that cannot be one.
    """
    root.mkdir(parents=True, exist_ok=True)
    unmount_leftovers(root)
    with ExitStack() as stack:
        for step in steps:
            target = root if step.path == "/" else _mount_point(root, step)
            with held():
                run(_command(step, target))
                stack.callback(_unmount, target)
        yield root


def unmount_leftovers(root: Path) -> None:
    """Unmount what is mounted below and at a new root."""
    unmount_below(root)
    while root.is_mount():
        run(["umount", "--lazy", root])


def _command(step: MountStep, target: Path) -> list[str]:
    # nodev: a device node in an image must not be one of this machine.
    return ["mount", "-t", step.type, "-o", f"{step.options or 'defaults'},nodev", step.source, str(target)]


def _mount_point(root: Path, step: MountStep) -> Path:
    """A directory of the new root, made when it is missing, in which a mount hides nothing."""
    path = step.path
    try:
        target = make_directory(root, path)
        if step not in IN_MEMORY and any(target.iterdir()):
            message = f"{path} of the new system is not empty, and would be hidden by what is mounted there"
            raise ServicingError(
                "mount-newroot", message, hint="mount it elsewhere, or build the image without these files"
            )
    except InputError as error:
        raise ServicingError("mount-newroot", f"nothing can be mounted at {path}: {error.message}") from error
    except OSError as error:
        hint = "a read-only filesystem must have the directories for what is mounted in it"
        raise ServicingError("mount-newroot", f"{path} cannot be made: {error.strerror}", hint=hint) from error
    return target


def _unmount(target: Path) -> None:
    """Unmount, waiting for stray users; not lazily but at the very last, as the disks must be complete."""
    with held():
        for attempt in range(_ATTEMPTS):
            try:
                run(["umount", target])
                return
            except CommandError:
                time.sleep(0.1 * 2**attempt)
        os.sync()
        run(["umount", "--lazy", target])
