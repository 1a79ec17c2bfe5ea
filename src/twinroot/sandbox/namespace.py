"""Leaving the host's mounts: the process moves into namespaces of its own before it mounts anything.

Whatever is mounted afterwards is seen by nobody else, and the kernel takes it away with the process, however that
ends: this is what makes "nothing left mounted" true even for `kill -9`. Loop devices go with their last mount.

As root a private mount namespace is enough. Anybody else gets a user namespace in which the whole range of image
users is mapped to the caller's subordinate ids (/etc/subuid), so that ownership, overlays and file capabilities
work there too.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import socket
from pathlib import Path

from twinroot.errors import HostError
from twinroot.tools.run import run

_CLONE_NEWNS = 0x00020000  # linux/sched.h
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWUSER = 0x10000000
_MS_REC_PRIVATE = 0x4000 | (1 << 18)  # sys/mount.h: MS_REC | MS_PRIVATE
_IMAGE_IDS = 65536


def isolate() -> bool:
    """Move this process into its own mount namespace; call before any thread starts. True when running as real root.

    Raises HostError naming what is missing when the host forbids it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        _unshare(libc, _CLONE_NEWNS | _CLONE_NEWUTS)
        _make_private(libc)
        _forget_host_name()
        return True
    uid_range, gid_range = _subordinate("uid"), _subordinate("gid")
    _require_fuse()
    uid, gid, pid = os.geteuid(), os.getegid(), os.getpid()
    ready_read, ready_write = os.pipe()
    child = os.fork()
    if child == 0:
        # The maps must be written from outside the new namespace, by set-uid helpers: this child stays behind.
        os.close(ready_write)
        os.read(ready_read, 1)
        try:
            run(["newuidmap", str(pid), "0", str(uid), "1", "1", str(uid_range), str(_IMAGE_IDS - 1)])
            run(["newgidmap", str(pid), "0", str(gid), "1", "1", str(gid_range), str(_IMAGE_IDS - 1)])
        except BaseException as error:
            os.write(2, f"{error}\n".encode())
            os._exit(1)
        os._exit(0)
    os.close(ready_read)
    _unshare(libc, _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWUTS)
    os.write(ready_write, b"x")
    os.close(ready_write)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise HostError(
            "the user namespace could not be given its id range",
            hint="run as root, or install uidmap and give your user a range in /etc/subuid and /etc/subgid",
        )
    _become_root_inside(libc)
    _forget_host_name()
    return False


def id_outside(kind: str, number: int) -> int | None:
    """The number that a user ("uid") or group ("gid") has outside of our user namespace; None for one without any here.

    Those show as nobody, whoever they are.
    """
    for line in Path(f"/proc/self/{kind}_map").read_text().splitlines():
        first, outside, count = map(int, line.split())
        if first <= number < first + count:
            return outside + number - first
    return None


def _require_fuse() -> None:
    """Filesystems of a base image are read through FUSE, whose device some hosts and most containers keep closed."""
    device = Path("/dev/fuse")
    if not os.access(device, os.R_OK | os.W_OK):
        what = "may not be opened by ordinary users on this host" if device.exists() else "is missing on this host"
        raise HostError(
            f"{device} {what}", hint=f"run as root, or let root make it usable: modprobe fuse; chmod 666 {device}"
        )


def _become_root_inside(libc: ctypes.CDLL) -> None:
    """The first use of the new namespace's privileges, which is where a security module says no (AppArmor)."""
    try:
        os.setgid(0)
        os.setuid(0)
        _make_private(libc)
    except (OSError, HostError) as error:
        raise HostError(
            f"this host gives user namespaces no privileges: {error}",
            hint="run as root, or write 0 to /proc/sys/kernel/apparmor_restrict_unprivileged_userns (Ubuntu 24.04)",
        ) from error


def _forget_host_name() -> None:
    """What the build host is called must not find its way into images: programs write it into keys and comments."""
    try:
        socket.sethostname("localhost")
    except OSError as error:
        raise HostError(f"this host does not let the host name be changed in a namespace: {error}") from error


def _unshare(libc: ctypes.CDLL, flags: int) -> None:
    if libc.unshare(flags) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise HostError(
            f"this host does not allow new namespaces: {reason}",
            hint="run as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)",
        )


def _make_private(libc: ctypes.CDLL) -> None:
    if libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) != 0:
        raise HostError(f"mount propagation could not be turned off: {os.strerror(ctypes.get_errno())}")


def _subordinate(kind: str) -> int:
    """The first id of the caller's range in /etc/subuid or /etc/subgid, which must hold 65,535 ids."""
    user = pwd.getpwuid(os.geteuid())
    table = Path(f"/etc/sub{kind}")
    lines = table.read_text().splitlines() if table.exists() else []
    for line in lines:
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if owner in (user.pw_name, str(user.pw_uid)) and count.isdigit() and int(count) >= _IMAGE_IDS - 1:
            return int(first)
    raise HostError(
        f"user '{user.pw_name}' has no range of 65536 ids in {table}",
        hint=f"run as root, or add one: usermod --add-sub{kind}s 100000-165535 {user.pw_name}",
    )
