"""No program of an image reaches the host: a hostile one tries everything it can think of, over the host's own root."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.isolated import isolated

PROGRAM = Path(__file__).resolve().parents[1] / "hostile.py"
ATTACK = """
import ctypes
from twinroot.sandbox.chroot import open_chroot
from twinroot.sandbox.mounts import Mounts

libc = ctypes.CDLL(None, use_errno=True)

def handle(path):
    held = ctypes.create_string_buffer((120).to_bytes(4, "little") + bytes(124))
    mount = ctypes.c_int()
    libc.name_to_handle_at(-100, os.fsencode(path), held, ctypes.byref(mount), 0)
    return held.raw[: 8 + int.from_bytes(held.raw[:4], "little")].hex()

place, program, python = Path(sys.argv[1]), Path(sys.argv[2]).read_text(), sys.argv[3]
given, options = json.loads(sys.argv[4]), json.loads(sys.argv[5])
libc.syscall(248, b"user", b"twinroot-secret", b"secret", 6, -4)  # add_key, to the keys of the host's root
with Mounts() as mounts:
    memory = mounts.tmpfs(place / "memory", "mode=755")
    (memory / "secret").write_text("secret")
    (place / "shown").mkdir()
    root = mounts.overlay(Path("/"), memory / "upper", memory / "work", place / "root", unprivileged=False)
    (place / "cache").mkdir()
    mounts.bind(place / "cache", root / "var/cache")
    with open_chroot(root) as chroot, chroot.showing(place / "shown", "shown") as shown:
        given |= {"shown": shown, "secret": str(memory / "secret"), "outside": os.getpid()}
        given["handles"] = [handle(path) for path in ("/", "/dev", "/etc/shadow")]
        argv = [python, "-I", "-S", "-c", program, json.dumps(given)]
        found = json.loads(chroot.run(argv, **options).stdout)
    print(json.dumps([found, os.listdir(place / "shown")]))
"""


# What it takes to write an image is not lost: cap_net_raw for a file, another owner, a link, a pipe, a device node.
WRITE = """
import os
value = bytes.fromhex("0100000200200000000000000000000000000000")
with open("/usr/local/bin/file", "w"):
    os.chown("/usr/local/bin/file", 1600, 33)
    os.chmod("/usr/local/bin/file", 0o4711)
    os.setxattr("/usr/local/bin/file", "security.capability", value)
os.mkfifo("/usr/local/bin/pipe")
try:
    os.mknod("/usr/local/bin/node", 0o020600, os.makedev(1, 3))
except PermissionError:
    pass
"""
LOOK = """
from twinroot.sandbox.chroot import open_chroot
from twinroot.sandbox.mounts import Mounts
place, python, program = Path(sys.argv[1]), *sys.argv[2:]
found = []
for may_mount in (False, True):
    with Mounts() as mounts:
        memory = mounts.tmpfs(place / "memory", "mode=755")
        root = mounts.overlay(Path("/"), memory / "upper", memory / "work", place / "root", unprivileged=False)
        with open_chroot(root) as chroot:
            chroot.run([python, "-I", "-S", "-c", program], may_mount=may_mount)
        made = root / "usr/local/bin/file"
        status = made.stat()
        found.append([oct(status.st_mode), status.st_uid, status.st_gid])
        found[-1].append(os.getxattr(made, "security.capability").hex())
        found[-1] += [(root / "usr/local/bin/pipe").is_fifo(), (root / "usr/local/bin/node").is_char_device()]
print(json.dumps(found))
"""


def _python() -> str:
    """The system's Python. Skips the test where it cannot be run in a tree."""
    python = shutil.which("python3", path="/usr/bin")
    if os.geteuid() != 0 or platform.machine() != "x86_64" or not python:
        pytest.skip("needs root on x86-64, and the system's Python")
    return python


def test_an_image_can_be_written(tmp_path: Path) -> None:
    program, script = isolated(LOOK, tmp_path, _python(), WRITE)
    usual = ["0o104711", 1600, 33, "0100000200200000000000000000000000000000", True]
    assert program == [*usual, True]
    assert script == [*usual, False]


def _disk() -> int:
    """The number of some disk of this host."""
    rows = [line.split() for line in Path("/proc/partitions").read_text().splitlines()[2:]]
    if not rows:
        pytest.skip("needs a disk")
    return os.makedev(int(rows[0][0]), int(rows[0][1]))


def _attack(place: Path, options: dict[str, bool], *, nested: bool, before: Sequence[str | Path] = ()) -> set[str]:
    """The ways that were open; nothing of the host is changed, whatever they are."""
    settings = Path("/proc/sys/kernel/core_pattern").read_text()
    given = json.dumps({"disk": _disk(), "nested": nested})
    found, shown = isolated(ATTACK, place, PROGRAM, _python(), given, json.dumps(options), before=before)
    assert len(found) > 50 or found == {"user namespace": "EPERM"}
    assert shown == [] and Path("/proc/sys/kernel/core_pattern").read_text() == settings
    return {name for name, error in found.items() if error is None}


@pytest.mark.parametrize("nested", [False, True], ids=["", "nested"])
@pytest.mark.parametrize("network", [False, True], ids=["alone", "network"])
@pytest.mark.parametrize("may_mount", [False, True], ids=["program", "script"])
def test_no_way_to_the_host(may_mount: bool, network: bool, nested: bool, tmp_path: Path) -> None:
    way_out = _attack(tmp_path, {"may_mount": may_mount, "network": network}, nested=nested)
    # Who has the host's network reaches the hypervisor, where there is one. A network of its own is the script's.
    way_out -= {"the host's hypervisor"} if network else set()
    assert way_out == ({"the host's network"} if may_mount and not network and not nested else set())


@pytest.mark.parametrize("nested", [False, True], ids=["", "nested"])
@pytest.mark.parametrize("may_mount", [False, True], ids=["program", "script"])
def test_no_way_out_of_a_chroot_in_which_we_are(may_mount: bool, nested: bool, tmp_path: Path) -> None:
    root = tmp_path / "chroot"
    root.mkdir()
    enter = 'mount --rbind / "$0"; cd /; exec chroot "$0" "$@"'
    before = ("unshare", "--mount", "sh", "-ec", enter, root)
    assert _attack(tmp_path, {"may_mount": may_mount}, nested=nested, before=before) == set()
