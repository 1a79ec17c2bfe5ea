"""The way into an image's tree: a program of its own, which sets up what a program of the image runs in and becomes it.

    python enter.py TREE OPTIONS PROGRAM [ARGUMENT…]

OPTIONS is a word of letters, or `-`: `m` for a program that may mount, `n` for the host's network. The variable
TWINROOT_ENTER holds a JSON object: `environment` adds to the program's, `filter` is for seccomp(2), in hexadecimal. The
exit code is the program's; 126 and 127 are those of a shell, 125 says that the way in failed. Uses nothing but the
standard library, as it is started without ours in sight. See `chroot` for what it promises.

All is done by system calls of this one process: once the tree has become the root and the host's has gone, no program
of the host can be started any more, and one of the image must not be before the last door is closed.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import stat
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000  # linux/sched.h
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, MOVE, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 8192, 16384, 1 << 18
_MOUNT_FLAGS = {"ro": RDONLY, "nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC,
                "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21}  # fmt: skip
_DETACH = 2
_SET_PDEATHSIG, _SET_SECCOMP, _CAPBSET_DROP, _FILTER = 1, 22, 24, 2  # linux/prctl.h, linux/seccomp.h
# What root needs to write an image: owners, modes, capabilities of files, other users (capabilities(7): chown,
# dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, mknod, setfcap).
SYS_CHROOT = 18
KEPT = frozenset((0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 27, 31))
# Within a user namespace of its own a program may have all but what opens files by their inode (dac_read_search).
LEFT_OUT = frozenset((2,))
_HIDDEN = frozenset(("keys", "key-users"))

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong)
libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p)
# pivot_root has no function in the C library.
_PIVOT_ROOT = {"x86_64": 155}.get(os.uname().machine, 41)


def main(root: str, options: str, argv: Sequence[str]) -> int:
    """Run the program in the tree; its exit code. A signal that ends it ends this process too."""
    unshare(NEWPID)
    asks, asked = os.pipe()
    answered, answers = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(asks)
        os.close(answers)
        _inside(root, options, argv, asked, answered)
    os.close(asked)
    os.close(answered)
    # Whoever ends us speaks to the whole process group: the program decides, and its end is ours.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.read(asks, 1):
        _give_ids(child)
        os.write(answers, b"x")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        ended = os.WTERMSIG(status)
        if ended != signal.SIGKILL:
            signal.signal(ended, signal.SIG_DFL)
        os.kill(os.getpid(), ended)
    return os.waitstatus_to_exitcode(status)


def _inside(root: str, options: str, argv: Sequence[str], asked: int, answered: int) -> None:
    """Everything that the first process of the PID namespace does; never returns."""
    code = 125
    try:
        check(libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, None, 0, 0), "prctl")
        given = json.loads(os.environ["TWINROOT_ENTER"])
        environment = {name: value for name, value in os.environ.items() if name not in ("TWINROOT_ENTER", "TMPDIR")}
        environment |= given["environment"]
        given_up = _capabilities() - KEPT
        separate = NEWUTS | NEWIPC | (0 if "n" in options else NEWNET)
        # A cgroup namespace that is the program's own would let it mount the host's cgroups.
        unshare(NEWNS | NEWCGROUP)
        if not _move_in(root):
            given_up |= {SYS_CHROOT}
        own_users = "m" in options and _own_users(asked, answered)
        # After the user namespace, if there is one, so that the program has its say in them.
        unshare(separate | (NEWNS if own_users else 0))
        os.umask(0o022)
        _refuse(bytes.fromhex(given["filter"]))
        _drop(LEFT_OUT if own_users else given_up)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        code = 126
        _become(argv, environment)
        code = 127
        raise FileNotFoundError(errno.ENOENT, "no such program")
    except BaseException as error:
        what = argv[0] if code != 125 else "the way into the image"
        os.write(2, f"{what}: {getattr(error, 'strerror', None) or error!r}\n".encode("utf-8", "surrogateescape"))
    finally:
        os._exit(code)


def _become(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Execute a program, looked for in the search path that it will have; returns when there is none."""
    directories = environment.get("PATH", "").split(":") if "/" not in argv[0] else [""]
    denied: OSError | None = None
    for directory in directories:
        try:
            os.execve(f"{directory}/{argv[0]}" if directory else argv[0], list(argv), environment)
        except PermissionError as error:
            denied = error
        except (FileNotFoundError, NotADirectoryError):
            continue
    if denied:
        raise denied


def _move_in(root: str) -> bool:
    """Make the tree the root of this mount namespace, with a /proc of this PID namespace; whether the host's has gone.

    It stays, covered, where we are in a chroot, or where the host runs from an initramfs. The way back would be by
    chroot(2).
    """
    mount(None, "/", PRIVATE | REC)
    mount(root, root, BIND | REC)
    os.chdir(root)
    _no_devices(os.getcwd())  # noqa: PTH109 - as below
    if not stat.S_ISDIR(os.lstat("proc").st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "/proc is not a directory")
    mount("proc", "proc", NOSUID | NODEV | NOEXEC, "proc")
    for name, hidden in host_settings("proc"):
        place = f"proc/{name}"
        mount("dev/null" if hidden else place, place, BIND)
        mount(None, place, REMOUNT | BIND | RDONLY | NOSUID | NOEXEC | (0 if hidden else NODEV))
    # From here on the names of Python's own files are the image's: nothing more may be loaded.
    sys.meta_path.clear()
    gone = bool(libc.syscall(ctypes.c_long(_PIVOT_ROOT), b".", b".") == 0)
    if gone:
        check(libc.umount2(b".", _DETACH), "umount")
    elif ctypes.get_errno() == errno.EINVAL:
        mount(".", "/", MOVE)
        os.chroot(".")
    else:
        check(-1, "pivot_root")
    os.chdir("/")
    return gone


def host_settings(proc: str) -> Iterator[tuple[str, bool]]:
    """What in a /proc is the host's, not a process's, and only for its root: names, and whether to hide them.

    The image's root is the host's for files there. What it could write is to be read-only, what only it can read is to
    be hidden.
    """
    for entry in os.scandir(proc):
        if entry.name.isdigit() or entry.is_symlink():
            continue
        mode = entry.stat().st_mode
        hidden = not mode & 0o004 or entry.name in _HIDDEN
        if hidden or stat.S_ISDIR(mode) or mode & 0o222:
            yield entry.name, hidden and not stat.S_ISDIR(mode)


def _no_devices(root: str) -> None:
    """No device node that a program makes shall be a device; those few of /dev are mounts of their own, and files."""
    with open("/proc/self/mountinfo", "rb") as lines:  # noqa: PTH123 - pathlib takes longer to load than all of this
        rows = [line.split() for line in lines]
    for row in rows:
        place = row[4].decode("unicode_escape").encode("latin-1")
        options = set(row[5].decode().split(","))
        below = place == os.fsencode(root) or place.startswith(os.fsencode(root) + b"/")
        if below and "nodev" not in options and os.path.isdir(place):  # noqa: PTH112
            flags = sum(flag for name, flag in _MOUNT_FLAGS.items() if name in options)
            try:
                mount(None, place, REMOUNT | BIND | NODEV | flags)
            except OSError as error:
                # What another mount covers is no mount point to us, nor to a program, which cannot take the other away.
                if error.errno != errno.EINVAL:
                    raise


def _own_users(asked: int, answered: int) -> bool:
    """Enter a user namespace in which every user is itself; False, having said so, where the host allows none.

    What is mounted already then belongs to others: it can neither be taken away nor changed.
    """
    try:
        unshare(NEWUSER)
    except OSError as error:
        text = f"this host allows no user namespace ({error.strerror}): the program cannot mount\n"
        os.write(2, text.encode())
        return False
    os.write(asked, b"x")
    if not os.read(answered, 1):
        raise PermissionError(errno.EPERM, "the user namespace was given no users")
    return True


def _give_ids(process: int) -> None:
    for kind in ("uid", "gid"):
        with open(f"/proc/self/{kind}_map", "rb") as ours:  # noqa: PTH123
            rows = [line.split() for line in ours]
        with open(f"/proc/{process}/{kind}_map", "wb") as theirs:  # noqa: PTH123
            theirs.write(b"".join(b"%b %b %b\n" % (inside, inside, count) for inside, _, count in rows))


def _refuse(code: bytes) -> None:
    """Have the kernel refuse system calls from now on: see `refused`."""
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
    check(libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0), "seccomp")


def _capabilities() -> frozenset[int]:
    """Those that the kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as last:  # noqa: PTH123
        return frozenset(range(int(last.read()) + 1))


def _drop(numbers: frozenset[int]) -> None:
    """Give up capabilities for ever: at the exec that follows, root has those of the bounding set."""
    for number in sorted(numbers):
        check(libc.prctl(_CAPBSET_DROP, number, None, 0, 0), "prctl")


def mount(source: str | None, target: str | bytes, flags: int, kind: str | None = None) -> None:
    """mount(2), without options of the file system."""
    text = [None if part is None else os.fsencode(part) for part in (source, target, kind)]
    check(libc.mount(*text, flags, None), f"mount {os.fsdecode(target)}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    check(libc.unshare(flags), "unshare")


def check(result: int, what: str) -> None:
    """OSError, naming what was tried, for a negative result of a call."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
