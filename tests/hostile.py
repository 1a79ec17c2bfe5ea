"""A hostile program of an image: it tries one way after the other to reach the host, and says what came of it.

Runs inside a tree (see `tools/test_containment.py`), with nothing but Python. The argument is JSON: `shown`, a
directory of the host that is mounted read-only; `secret`, a file of the host that is not in the tree; `disk`, the
number of a disk of the host; `handles`, file handles of the host in hexadecimal; `outside`, the process id of a program
on the host; `nested`, whether to try it all from a user namespace within. Prints a JSON object: each way with the error
that stopped it, or None when it was open.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

NEWNS, NEWCGROUP, NEWUSER, NEWPID = 0x20000, 0x02000000, 0x10000000, 0x20000000
RDONLY, REMOUNT, BIND, MOVE, REC = 1, 32, 4096, 8192, 16384
FILE_SYSTEMS = ("sysfs", "devtmpfs", "debugfs", "tracefs", "securityfs", "cgroup", "cgroup2", "bpf", "pstore", "proc",
                "configfs", "efivarfs", "fusectl", "hugetlbfs", "selinuxfs")  # fmt: skip
SETTINGS = ("sys/kernel/core_pattern", "sys/vm/drop_caches", "sysrq-trigger", "mtrr", "irq/default_smp_affinity")
libc = ctypes.CDLL(None, use_errno=True)
given = json.loads(sys.argv[1])


def call(result: int) -> int:
    """The result of a system call, or its OSError."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def libcall(function: Callable[..., int], *arguments: object) -> int:
    return call(function(*arguments))


def system(number: int, *arguments: object) -> int:
    return call(libc.syscall(ctypes.c_long(number), *arguments))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    text = [None if part is None else part.encode() for part in (source, target, kind)]
    call(libc.mount(*text, ctypes.c_ulong(flags), data and data.encode()))


def place() -> str:
    """A new directory."""
    return tempfile.mkdtemp(dir="/tmp")


def write_again(path: str) -> None:
    """Open what is to be written, and write nothing: what it holds stays should it work."""
    os.close(os.open(path, os.O_WRONLY))


def found_secret(*under: str) -> None:
    """FileNotFoundError unless the host's file can be seen from one of these roots."""
    if not any(Path(root + given["secret"]).exists() for root in under):
        raise FileNotFoundError(errno.ENOENT, "not to be seen")


def in_child(act: Callable[[], None], flags: int) -> None:
    """Do something in a process in new namespaces of its own."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        number = 0
        try:
            call(libc.unshare(flags))
            if os.fork():
                os.wait()
                os._exit(0)
            act()
        except OSError as error:
            number = error.errno or 999
        os.write(writes, str(number).encode())
        os._exit(0)
    os.close(writes)
    os.waitpid(child, 0)
    number = int(os.read(reads, 16) or b"998")
    if number:
        raise OSError(number, os.strerror(number))


def write_shown() -> None:
    Path(given["shown"], "written").write_text("by the image")


def remount(path: str) -> None:
    mount("none", path, None, REMOUNT | BIND)


def attributes(path: str) -> None:
    """mount_setattr(2), with which read-only is taken away."""
    system(442, ctypes.c_int(-100), path.encode(), 0x8000, struct.pack("QQQQ", 0, 1, 0, 0), ctypes.c_long(32))


def copied(path: str, flags: int = REC) -> str:
    """A copy of mounts at a new place."""
    target = place()
    mount(path, target, None, BIND | flags)
    return target


def shown_copied() -> None:
    target = copied(given["shown"])
    remount(target)
    Path(target, "written").write_text("by the image")


def shown_elsewhere() -> None:
    mount(given["shown"], place(), None, MOVE)


def uncover(path: str) -> None:
    call(libc.umount2(path.encode(), 2))


def uncovered_settings() -> None:
    write_again(copied("/proc", 0) + "/sys/kernel/core_pattern")


def new_file_system(kind: str) -> None:
    mount(kind, place(), kind, 0)


def new_proc() -> None:
    target = place()

    def act() -> None:
        mount("proc", target, "proc", 0)
        write_again(f"{target}/sys/kernel/core_pattern")

    in_child(act, NEWNS | NEWPID)


def node(directory: str, kind: int, number: int) -> None:
    path = tempfile.mktemp(dir=directory)
    os.mknod(path, kind | 0o600, number)
    os.close(os.open(path, os.O_RDONLY))


def disk_in_memory() -> None:
    target = place()
    mount("tmpfs", target, "tmpfs", 0)
    node(target, 0o060000, given["disk"])


def disk_mounted() -> None:
    path = tempfile.mktemp(dir="/tmp")
    os.mknod(path, 0o060600, given["disk"])
    mount(path, place(), "ext4", RDONLY)


def new_root() -> None:
    os.chdir(place())
    mount("tmpfs", ".", "tmpfs", 0)
    os.chdir(Path.cwd())
    Path("old").mkdir()
    system(155, b".", b"old")
    for path in ("/old", "/"):
        with suppress(OSError):
            uncover(path)
    found_secret("", "/old")


def up_from_a_second_root() -> None:
    def act() -> None:
        top = os.open("/", os.O_RDONLY)
        os.chroot(place())
        os.fchdir(top)
        for _ in range(50):
            os.chdir("..")
        os.chroot(".")
        found_secret("")

    in_child(act, NEWNS)


def other_namespace() -> None:
    for process in ("1", "self"):
        with suppress(OSError):
            call(libc.setns(os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY), 0))
    found_secret("", "/proc/1/root", "/proc/self/root", "/proc/1/cwd")


def by_handle() -> None:
    """open_by_handle_at(2): a file by its inode, on whatever mounts we have a descriptor of."""
    last: OSError | None = None
    for handle in given["handles"]:
        for descriptor in (0, 1, 2, os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)):
            try:
                system(304, ctypes.c_int(descriptor), bytes.fromhex(handle), ctypes.c_int(os.O_RDONLY))
            except OSError as error:
                last = error
            else:
                return
    raise last or OSError


def on_host_file_system(request: int, data: bytes) -> None:
    """ioctl(2) on the file that takes our error output, which is the host's."""
    call(libc.ioctl(2, ctypes.c_ulong(request), data))


def keys() -> None:
    """Read a key of the host's root, by name and then by its number."""
    for ring in (-3, -4, -5):
        with suppress(OSError):
            system(250, 10, ctypes.c_int(ring), b"user", b"twinroot-secret", 0)
            return
    for line in Path("/proc/keys").read_text().splitlines():
        if "twinroot-secret" in line:
            return
    system(250, 0, ctypes.c_int(-4), 1)


def set_clock() -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def network() -> None:
    """Set the MTU of lo to what it is."""
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, 0x8921, struct.pack("16si20x", b"lo", 0))
        fcntl.ioctl(control, 0x8922, request)


def hypervisor() -> None:
    """A socket to whoever runs this host, which is no part of any network namespace."""
    import socket

    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()


Steps = tuple[Callable[[], object], ...]


def files() -> Iterator[tuple[str, Steps]]:
    """Ways to write what is read-only, and to open what is a device."""
    shown, pattern = given["shown"], partial(write_again, "/proc/sys/kernel/core_pattern")
    yield "write what is shown", (write_shown,)
    yield "write it after a remount", (partial(remount, shown), write_shown)
    yield "write it after mount_setattr", (partial(attributes, shown), write_shown)
    yield "write a copy of it", (shown_copied,)
    yield "move it", (shown_elsewhere,)
    yield "unmount it", (partial(uncover, shown),)
    for name in SETTINGS:
        yield f"write /proc/{name}", (partial(write_again, f"/proc/{name}"),)
    yield "write settings after a remount", (partial(remount, "/proc/sys"), pattern)
    yield "uncover settings", (partial(uncover, "/proc/sys"), pattern)
    yield "settings in a copy", (uncovered_settings,)
    yield "settings in a new proc", (new_proc,)
    for kind in FILE_SYSTEMS:
        yield f"mount {kind}", (partial(new_file_system, kind),)
    inside = partial(in_child, partial(new_file_system, "cgroup2"), NEWNS | NEWCGROUP)
    yield "mount cgroup2 in a namespace", (inside,)
    for directory in ("/", "/tmp", "/dev", "/dev/shm", "/run", "/var/cache"):
        yield f"the disk in {directory}", (partial(node, directory, 0o060000, given["disk"]),)
    yield "the disk in memory", (disk_in_memory,)
    yield "the disk mounted", (disk_mounted,)
    for name, number in (("memory", (1, 1)), ("loop devices", (10, 237)), ("the kernel's log", (1, 11))):
        yield name, (partial(node, "/tmp", 0o020000, os.makedev(*number)),)


def others() -> Iterator[tuple[str, Steps]]:
    """Ways out of the tree, and to what the host's kernel does."""
    yield "a new root", (partial(in_child, new_root, NEWNS),)
    yield "a second root", (up_from_a_second_root,)
    yield "another namespace", (other_namespace,)
    yield "an open file by its handle", (by_handle,)
    trim = struct.pack("QQQ", 0, 0, 1 << 62)
    yield "trim the host's file system", (partial(on_host_file_system, 0xC0185879, trim),)
    yield "an immutable file", (partial(on_host_file_system, 0x40086602, struct.pack("Q", 0x10)),)
    yield "end a program of the host", (partial(os.kill, given["outside"], 0),)
    yield "trace a program of the host", (partial(libcall, libc.ptrace, 16, given["outside"], None, None),)
    yield "the host's keys", (keys,)
    yield "the clock", (set_clock,)
    yield "a kernel module", (partial(system, 175, b"\x7fELF", ctypes.c_ulong(4), b""),)
    yield "a module from a file", (partial(system, 313, ctypes.c_int(0), b"", 0),)
    yield "ports of the machine", (partial(libcall, libc.iopl, 3),)
    yield "swap", (partial(libcall, libc.swapon, b"/etc/passwd", 0),)
    yield "accounting", (partial(libcall, libc.acct, None),)
    yield "another kernel", (partial(system, 246, 0, 0, None, 0),)
    yield "the host's network", (network,)
    yield "the host's hypervisor", (hypervisor,)
    for path in ("/proc", "/dev", "/sys", "/dev/null", "/"):
        yield f"unmount {path}", (partial(uncover, path),)


def nest() -> None:
    """Become root of a user namespace within; OSError when that is not possible."""
    user, group = os.getuid(), os.getgid()
    call(libc.unshare(NEWUSER | NEWNS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def main() -> None:
    found: dict[str, str | None] = {}
    if given["nested"]:
        try:
            nest()
        except OSError as error:
            print(json.dumps({"user namespace": errno.errorcode.get(error.errno or 0)}))
            return
    for name, steps in (*files(), *others()):
        try:
            for step in steps:
                step()
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, str(error))
        else:
            found[name] = None
    print(json.dumps(found))


main()
