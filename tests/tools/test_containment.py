"""No program of an image reaches the host: a hostile one tries everything it can think of, over the host's own root."""

from __future__ import annotations

import json
import os
import platform
import shutil
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


def _disk() -> int:
    """The number of some disk of this host."""
    rows = [line.split() for line in Path("/proc/partitions").read_text().splitlines()[2:]]
    if not rows:
        pytest.skip("needs a disk")
    return os.makedev(int(rows[0][0]), int(rows[0][1]))


@pytest.mark.parametrize("nested", [False, True], ids=["", "nested"])
@pytest.mark.parametrize("network", [False, True], ids=["alone", "network"])
@pytest.mark.parametrize("may_mount", [False, True], ids=["program", "script"])
def test_no_way_to_the_host(may_mount: bool, network: bool, nested: bool, tmp_path: Path) -> None:
    python = shutil.which("python3", path="/usr/bin")
    if os.geteuid() != 0 or platform.machine() != "x86_64" or not python:
        pytest.skip("needs root on x86-64, and the system's Python")
    settings = Path("/proc/sys/kernel/core_pattern").read_text()
    options = {"may_mount": may_mount, "network": network}
    given = {"disk": _disk(), "nested": nested}
    found, shown = isolated(ATTACK, tmp_path, PROGRAM, python, json.dumps(given), json.dumps(options))
    way_out = {name for name, error in found.items() if error is None}
    # A network of its own is the script's to set up.
    own = {"the host's network"} if may_mount and not network and not nested else set()
    assert way_out == own and (len(found) > 50 or found == {"user namespace": "EPERM"}), found
    assert shown == [] and Path("/proc/sys/kernel/core_pattern").read_text() == settings
