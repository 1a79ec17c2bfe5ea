"""Directory trees with everything in them that a filesystem may hold, and what a filesystem made of one must show."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from twinroot.tools.run import run
from twinroot.units import GIB, MIB

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep, vfs_cap_data version 2
LABEL = b"system_u:object_r:bin_t:s0\x00"
# user::rwx user:1000:rw- group::r-x mask::rwx other::---, as the kernel takes it (linux/posix_acl_xattr.h)
ACL = bytes.fromhex("0200000001000700ffffffff02000600e803000004000500ffffffff10000700ffffffff20000000ffffffff")
NAMES = (
    b"new\nline",
    b"say \"hi\" and 'bye'",
    b"\xff\xfe not UTF-8",
    b"\x01\x7f",
    b"n" * 255,
    b"\xc3\xa4" * 127,
    b" ",
    b"-rf",
    b"back\\slash",
    b"*?[",
    b"...",
)
# Unix times and nanoseconds at the edges of what ext4 stores.
TIMES = (0, 1, 999_999_999, 10**18 + 123_456_789, (2**31 - 1) * 10**9, 2**31 * 10**9 + 5, (2**33) * 10**9 + 7, -1,
         -(2**31) * 10**9)  # fmt: skip


def hostile_tree(tree: Path, *, devices: bool = True, sparse: int = 5 * GIB, longest_link: int = 4000) -> Path:
    """A tree of odd names, all kinds of files, times, links and attributes; without `devices` anybody can make it."""
    tree.mkdir()
    for index, name in enumerate(NAMES):
        path = tree / os.fsdecode(name)
        if index % 3 == 2:
            path.mkdir()
            (path / os.fsdecode(name)).symlink_to(os.fsdecode(b"\xfe\n\"'"))
        else:
            path.write_bytes(name * index)
    (tree / "empty").touch()
    (tree / "one").write_bytes(b"1")
    for length in (4095, 4096, 4097, 12288, 3 * MIB + 1):
        (tree / f"size{length}").write_bytes(os.urandom(length))
    _sparse(tree, sparse)
    _links(tree, longest_link)
    _attributes(tree)
    _special(tree, devices)
    deep = tree / "deep"
    for _ in range(40):
        deep = deep / ("d" * 50)
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("down here")
    for index, time in enumerate(TIMES):
        (tree / f"time{index}").touch()
        os.utime(tree / f"time{index}", ns=(TIMES[-1 - index], time))
    os.utime(tree / "deep", ns=(10**18 + 1, 10**18 + 2))
    os.utime(tree / "symlink60", ns=(10**18 + 3, 10**18 + 4), follow_symlinks=False)
    tree.chmod(0o1751)
    os.utime(tree, ns=(10**18 + 5, 1_200_000_000_000_000_006))
    return tree


def _sparse(tree: Path, size: int) -> None:
    with (tree / "sparse").open("wb") as file:
        # More pieces than an inode has room for, so that the extents get blocks of their own.
        for index in range(400):
            file.seek(1 + index * size // 401)
            file.write(b"data")
        file.truncate(size)
    with (tree / "ends in data").open("wb") as file:
        file.seek(size)
        file.write(b"x")
    (tree / "zeros").write_bytes(bytes(9000))


def _links(tree: Path, longest: int) -> None:
    for name in ("a", "b", "c/d"):
        (tree / "links" / name).mkdir(parents=True)
    first = tree / "links/a/first"
    first.write_bytes(b"h" * 5000)
    for name in ("b/second", "c/d/third", "last"):
        os.link(first, tree / "links" / name)
    for length in (1, 59, 60, 61, 255, longest):
        (tree / f"symlink{length}").symlink_to("x" * length)
    os.link(tree / "symlink61", tree / "links/symlink", follow_symlinks=False)


def _attributes(tree: Path) -> None:
    for name in ("capable", "labelled", "listed", "many attributes"):
        (tree / name).write_bytes(b"x")
    os.setxattr(tree / "capable", "security.capability", CAPABILITY)
    os.setxattr(tree / "listed", "system.posix_acl_access", ACL)
    os.setxattr(tree / "links", "system.posix_acl_default", ACL)
    os.setxattr(tree / "links", "user.directory", b"")
    for index in range(30):
        os.setxattr(tree / "many attributes", f"user.note{index}", b"\x00\xff" * index)
    os.setxattr(tree, "user.root", b"root")
    for mode in (0o4755, 0o2755, 0o1777, 0, 0o7777):
        (tree / f"mode{mode:o}").touch()
        (tree / f"mode{mode:o}").chmod(mode)


def _special(tree: Path, devices: bool) -> None:
    os.mkfifo(tree / "fifo", 0o640)
    here = Path.cwd()
    os.chdir(tree)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
    finally:
        os.chdir(here)
    if not devices:
        return
    os.setxattr(tree / "labelled", "security.selinux", LABEL)
    os.setxattr(tree / "symlink60", "security.selinux", LABEL, follow_symlinks=False)
    os.setxattr(tree / "fifo", "security.selinux", LABEL)
    os.setxattr(tree / "capable", "trusted.note", b"t" * 900)
    os.mknod(tree / "null", 0o20666, os.makedev(1, 3))
    os.mknod(tree / "block", 0o60660, os.makedev(259, 70000))
    os.setxattr(tree / "null", "security.selinux", LABEL)
    for name, owner in (("one", (1000, 100000)), ("empty", (4294967294, 65536)), ("links", (7, 8))):
        os.chown(tree / name, *owner)
    os.chown(tree / "symlink1", 5, 6, follow_symlinks=False)
    os.chown(tree, 33, 70000)


# xfs shows access control lists a second time by names of its own.
# Prints a line for each entry of a tree with everything that must be the same; a second argument leaves lost+found out.
_LISTING = """
import os, stat, sys, hashlib
root = os.fsencode(sys.argv[1])
inodes = {}
def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        at, size = 0, os.fstat(file.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // 4096 * 4096
            except OSError:
                break
            data = os.pread(file.fileno(), 1 << 20, at)
            for place in range(0, len(data), 4096):
                part = data[place:place + 4096]
                if part.strip(b"\\0"):
                    found.update(b"%d:" % (at + place) + part.rstrip(b"\\0"))
            at += len(data)
    return found.hexdigest()
def show(path, name):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    size = None if kind == stat.S_IFDIR else s.st_size
    links = None if kind == stat.S_IFDIR else s.st_nlink
    content = os.readlink(path) if kind == stat.S_IFLNK else digest(path) if kind == stat.S_IFREG else ""
    names = sorted(k for k in os.listxattr(path, follow_symlinks=False) if not k.startswith("trusted.SGI_ACL"))
    x = {k: os.getxattr(path, k, follow_symlinks=False) for k in names}
    same = inodes.setdefault(s.st_ino, name)
    print(name, oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, size, links, s.st_rdev, content, x, same)
show(root, b".")
for directory, names, files in os.walk(root):
    names.sort()
    for entry in sorted(names + files):
        path = os.path.join(directory, entry)
        if path != os.path.join(root, b"lost+found"):
            show(path, os.path.relpath(path, root))
"""


def listing(tree: Path) -> list[str]:
    """Everything that must be the same of a tree, a line for each entry; an empty lost+found left out."""
    return run([sys.executable, "-c", _LISTING, tree]).stdout.splitlines()


def mounted_listing(image: Path, mount_point: Path, kind: str = "ext4", options: str = "ro,loop,noatime") -> list[str]:
    """The listing of a filesystem as the kernel sees it, mounted in a namespace of a child process."""
    mount_point.mkdir(exist_ok=True)
    script = 'mount -t "$1" -o "$2" "$3" "$4" && exec "$5" -c "$6" "$4"'
    arguments = [kind, options, str(image), str(mount_point), sys.executable, _LISTING]
    return run(["unshare", "--mount", "sh", "-c", script, "sh", *arguments]).stdout.splitlines()
