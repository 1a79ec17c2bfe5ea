"""`os.selinux`: the mode of a new system, and labels for what was changed in it (servicing spec, 12.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.blame import blaming
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import place_file, read_text, resolve_inside
from twinroot.system import selinux_labels
from twinroot.system.selinux_config import CONFIG, setting, with_mode

Mode = Literal["disabled", "permissive", "enforcing"]
_LABELLED = ("ext4", "xfs")


def final_mode(wanted: Mode | None, config: str | None) -> Mode | None:
    """The mode of a system with a /etc/selinux/config (None: there is none); None where there is nothing to do.

    ServicingError when SELinux is to be on in a system that has none.
    """
    if config is None:
        if wanted in ("permissive", "enforcing"):
            message = f"os.selinux.mode: the image has no SELinux policy ({CONFIG} is missing)"
            raise ServicingError("selinux-enabled-but-not-found", message, hint="use an image with selinux-policy")
        return None
    if wanted is not None:
        return wanted
    found = setting(config, "SELINUX")
    return "permissive" if found == "permissive" else "enforcing" if found == "enforcing" else "disabled"


def set_mode(root: Path, wanted: Mode | None) -> Mode | None:
    """Write the mode into the system's configuration where one is wanted; the mode it has then, as `final_mode`."""
    config = read_text(root, CONFIG)
    mode = final_mode(wanted, config)
    if config is not None and wanted is not None:
        with blaming("run-os-modifier", "os.selinux.mode"):
            place_file(root, CONFIG, with_mode(config, wanted), follow=True)
    return mode


def check_overlaid(mode: Mode | None) -> None:
    """ServicingError for a mode that a system with an overlay over /etc would not start in."""
    if mode == "enforcing":
        message = (
            "SELinux cannot be enforcing on a system whose root verity protects: the overlay over /etc has no labels"
        )
        hint = "set os.selinux.mode: permissive, or disabled"
        raise ServicingError(
            "invalid-host-configuration-dynamic", message, hint=hint, inner="root-verity-and-selinux-unsupported"
        )


def labelled_mounts(mounts: Sequence[tuple[str, str, bool]]) -> tuple[str, ...]:
    """The mount points that get labels, of (path, type of file system, whether it is writable)."""
    return tuple(path for path, kind, writable in mounts if writable and kind in _LABELLED)


def relabel(chroot: Chroot, mounts: Sequence[str]) -> None:
    """Label all files below mount points of the new system, each by itself, by its own policy and its own setfiles."""
    policy = setting(read_text(chroot.root, CONFIG) or "", "SELINUXTYPE") or "targeted"
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", policy):
        raise ServicingError("get-selinux-type", f"{CONFIG} of the image names no policy: SELINUXTYPE={policy}")
    contexts = f"/etc/selinux/{policy}/contexts/files/file_contexts"
    if not chroot.has("setfiles") or not resolve_inside(chroot.root, contexts).is_file():
        message = f"os.selinux.mode: the image has no setfiles, or no {contexts}"
        hint = "use an image with policycoreutils and a policy, or set os.selinux.mode: disabled"
        raise ServicingError("selinux-enabled-but-not-found", message, hint=hint)
    with blaming("run-os-modifier", "os.selinux.mode"):
        for path in mounts:
            selinux_labels.relabel(chroot, contexts, path)
