"""SELinux labels of the whole tree, by the image's own policy and its own `setfiles` (image behaviour spec §19).

Every file system is labelled by itself, in a view without the mounts over it, so that the directories others are
mounted on get labels too. FAT holds no labels. Labels are attributes `security.selinux`, which `mke2fs -d` copies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from twinroot.customize.selinux import missing_policy
from twinroot.distro.distro import Distro
from twinroot.errors import CommandError, HostError, InputError
from twinroot.plan.disk import PlannedDisk, mount_path
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import place_file, read_text, remove_inside, resolve_inside
from twinroot.system.selinux_config import CONFIG, setting
from twinroot.system.selinux_labels import ATTRIBUTE, relabel

_VIEW = "/run/twinroot/labels"
_PROBE = "/etc/.twinroot-label"


def policy_name(root: Path) -> str:
    """The policy that /etc/selinux/config names, a directory of /etc/selinux."""
    name = setting(read_text(root, CONFIG) or "", "SELINUXTYPE") or "targeted"
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise InputError(f"{CONFIG} of the image names no policy: SELINUXTYPE={name}")
    return name


def check_labels(chroot: Chroot, distro: Distro) -> None:
    """InputError when the image, and HostError when this host, lacks what labelling takes."""
    contexts = _contexts(chroot.root)
    if not resolve_inside(chroot.root, contexts).is_file():
        raise missing_policy(contexts, distro)
    if not chroot.has("setfiles"):
        raise InputError(
            "os.selinux: the image has no setfiles, so its files cannot be given SELinux labels",
            hint="add policycoreutils to os.packages.install",
        )
    _check_host(chroot.root)


def add_rules(root: Path, subs: Sequence[str], local: Sequence[str]) -> None:
    """Add lines to the policy's equal directories and to its local rules, as semanage-fcontext(8) would.

    The policy's store has the local rules too, from which semanage would make them anew.
    """
    policy = policy_name(root)
    contexts, store = f"/etc/selinux/{policy}/contexts/files", f"/var/lib/selinux/{policy}/active"
    places = {f"{contexts}/file_contexts.subs": subs, f"{contexts}/file_contexts.local": local}
    if resolve_inside(root, store).is_dir():
        places[f"{store}/file_contexts.local"] = local
    for path, lines in places.items():
        present = read_text(root, path) or ""
        new = [line for line in lines if line not in present.splitlines()]
        if new:
            head = present if present.endswith("\n") or not present else f"{present}\n"
            place_file(root, path, head + "".join(f"{line}\n" for line in new), follow=True)
    # The compiled form of the rules as they were would win over them.
    remove_inside(root, f"{contexts}/file_contexts.local.bin")


def set_labels(chroot: Chroot, disk: PlannedDisk) -> None:
    """Label every file of every file system but FAT."""
    contexts = _contexts(chroot.root)
    for path in _labelled(disk):
        with Mounts() as mounts:
            mount = resolve_inside(chroot.root, path)
            # mke2fs makes one where there is none, which then has no label.
            (mount / "lost+found").mkdir(mode=0o700, exist_ok=True)
            inside = _VIEW + path.rstrip("/")
            view = mounts.bind(mount, chroot.root / inside.lstrip("/"))
            _check_device(view, path)
            try:
                relabel(chroot, contexts, inside, view=_VIEW)
            except CommandError as error:
                raise _explained(error) from error


def _labelled(disk: PlannedDisk) -> Iterator[str]:
    for partition in disk.mounted:
        if partition.filesystem and partition.filesystem.type != "vfat":
            yield mount_path(partition)


def _contexts(root: Path) -> str:
    return f"/etc/selinux/{policy_name(root)}/contexts/files/file_contexts"


def _check_host(root: Path) -> None:
    probe = place_file(root, _PROBE, "")
    try:
        os.setxattr(probe, ATTRIBUTE, b"system_u:object_r:etc_t:s0\0")
    except OSError as error:
        raise HostError(
            f"os.selinux: SELinux labels cannot be written on this host: {error.strerror}",
            hint="run as root, with the build directory on a file system with extended attributes, such as ext4 or "
            "xfs; or set os.selinux.mode: disabled",
        ) from error
    finally:
        with suppress(OSError):
            remove_inside(root, _PROBE)


def _check_device(view: Path, path: str) -> None:
    """HostError where files do not show the device of their file system: setfiles would silently pass them over."""
    device = view.lstat().st_dev
    for directory, _, names in os.walk(view):
        for name in names:
            if Path(directory, name).lstat().st_dev != device:
                raise HostError(
                    f"os.selinux: files of {path} cannot be given labels, as the build directory's file system and the "
                    "image's are of kinds that do not go together",
                    hint="use a build directory on ext4, or set os.selinux.mode: disabled",
                )


def _explained(error: CommandError) -> InputError:
    cause = [line for line in error.output.strip().splitlines() if line.strip()][:3]
    return InputError(f"os.selinux: labelling the image's files failed: {'; '.join(cause) or 'no reason is given'}")
