"""What programs of an image can see and do, tried with a static busybox as the image."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.isolated import OPEN_CHROOT, isolated


@pytest.fixture
def root(busybox_tree: Path) -> Path:
    return busybox_tree


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def test_what_is_there_to_see(root: Path) -> None:
    found = isolated(
        OPEN_CHROOT
        + """
with open_chroot(root, disk_links={"by-uuid/ABCD": "/dev/vda1"}) as chroot:
    print(json.dumps({
        "sys": sh(chroot, "ls -A /sys"),
        "run": sh(chroot, "ls -A /run"),
        "tmp": sh(chroot, "ls -A /tmp"),
        "dev": sh(chroot, "ls /dev").split(),
        "null": sh(chroot, "echo x >/dev/null; cat /dev/null; [ -c /dev/urandom ] && echo yes"),
        "link": sh(chroot, "ls -l /dev/disk/by-uuid/ABCD; [ -e /dev/disk/by-uuid/ABCD ] && echo yes"),
        "cwd": sh(chroot, "pwd"),
        "env": sorted(line.split("=")[0] for line in sh(chroot, "env").splitlines()),
        "pids": sh(chroot, "ls /proc | grep -c '^[0-9]'"),
        "fd": sh(chroot, "echo through >/dev/stdout"),
    }))
"""
        , root,
    )  # fmt: skip
    assert found["sys"] == found["run"] == found["tmp"] == ""
    assert {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "pts", "shm", "disk"} <= set(
        found["dev"]
    )
    assert not {"mem", "kmsg", "sda", "vda", "loop0", "loop-control", "kvm"} & set(found["dev"])
    assert found["null"] == "yes"
    assert found["link"].endswith("../../vda1\nyes")
    assert found["cwd"] == "/" and found["fd"] == "through"
    assert "TWINROOT_ENTER" not in found["env"] and {"PATH", "HOME"} <= set(found["env"])
    assert int(found["pids"]) < 8
    assert sorted(path.name for path in root.iterdir()) == ["bin", "dev", "proc", "run", "sys", "tmp"]
    assert not [path for name in ("dev", "proc", "run", "sys", "tmp") for path in (root / name).iterdir()]


def test_the_host_cannot_be_changed(root: Path) -> None:
    before, name = mounts(), socket.gethostname()
    found = isolated(
        OPEN_CHROOT
        + """
with open_chroot(root) as chroot:
    tries = {
        "sysctl": "echo 1 > /proc/sys/kernel/sysrq",
        "sysrq": "echo h > /proc/sysrq-trigger",
        "remount": "mount -o remount,rw /proc/sys && echo 1 > /proc/sys/kernel/sysrq",
        "sys": "mkdir /sys/x",
    }
    found = {key: chroot.run(["/bin/sh", "-c", script], ok=range(256)).code for key, script in tries.items()}
    found["hostname"] = sh(chroot, "hostname other-name; hostname", may_mount=True)
    mounts = "mkdir -p /mnt; mount -t tmpfs none /mnt; touch /mnt/x; ls /mnt"
    found["mount"] = sh(chroot, mounts, may_mount=True)
    found["mount later"] = sh(chroot, "ls /mnt")
    found["no mount"] = chroot.run(["/bin/mount", "-t", "tmpfs", "none", "/mnt"], ok=range(256)).code
    status = dict(line.split(":", 1) for line in sh(chroot, "cat /proc/self/status").splitlines())
    found["bounding"] = int(status["CapBnd"], 16)
    found["effective"] = int(status["CapEff"], 16)
print(json.dumps(found))
"""
        , root,
    )  # fmt: skip
    assert found["sysctl"] != 0 and found["sysrq"] != 0 and found["sys"] != 0
    assert found["hostname"] == "other-name" and socket.gethostname() == name
    assert found["mount"] == "x" and found["mount later"] == "" and found["no mount"] != 0
    for number in (2, 16, 17, 22, 25, 34, 39):  # dac_read_search, sys_module, sys_rawio …
        assert not found["bounding"] >> number & 1 and not found["effective"] >> number & 1
    assert found["effective"] >> 0 & 1  # chown
    assert mounts() == before


# With a directory held open outside of a second root, ".." has no end but that of the mount namespace.
ESCAPES = {
    "second root": "exec 9</; chroot /inner /bin/sh -c 'cd -P /proc/self/fd/9 && cd -P ../../../../../.. && ls'",
    "first process": "ls /proc/1/root/",
    "mount namespace": "nsenter --target 1 --mount /bin/ls /",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_no_way_up_leads_to_the_host(root: Path, name: str) -> None:
    for program in ("chroot", "nsenter"):
        (root / "bin" / program).symlink_to("busybox")
    found = isolated(
        OPEN_CHROOT
        + """
with open_chroot(root) as chroot:
    inner = "mkdir -p /inner; mount --rbind / /inner; "
    print(json.dumps(sh(chroot, inner + sys.argv[2], may_mount=True).split()))
"""
        , root, ESCAPES[name],
    )  # fmt: skip
    assert found == ["bin", "dev", "inner", "proc", "run", "sys", "tmp"]


def test_there_is_no_network_unless_asked_for(root: Path) -> None:
    found = isolated(
        OPEN_CHROOT
        + """
with open_chroot(root) as chroot:
    names = lambda **o: [l.split(":")[0].strip() for l in sh(chroot, "cat /proc/net/dev", **o).splitlines()[2:]]
    print(json.dumps([names(), names(network=True)]))
"""
        , root,
    )  # fmt: skip
    host = {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    assert found[0] == ["lo"] and set(found[1]) == host


def test_nothing_keeps_running(root: Path) -> None:
    """A program that puts another one into the background, in a session of its own, takes it along."""
    mark = f"9{os.getpid()}"
    isolated(
        OPEN_CHROOT
        + f"""
with open_chroot(root) as chroot:
    sh(chroot, "(setsid sleep {mark} || sleep {mark}) >/dev/null 2>&1 </dev/null & sleep 0.2; echo started")
print("null")
"""
        , root,
    )  # fmt: skip
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(mark.encode() in command.split(b"\0") for command in running)


def test_which_looks_inside_the_tree_only(root: Path) -> None:
    (root / "usr").mkdir()
    (root / "usr/sbin").symlink_to("/usr/sbin")  # leads to itself in the image, to the host's programs outside
    (root / "sbin").symlink_to("/bin")
    (root / "bin/dangling").symlink_to("/nothing/here")
    found = isolated(
        OPEN_CHROOT
        + """
from twinroot.sandbox.chroot import Chroot
(root / "usr/sbin").unlink()
(root / "usr/sbin").symlink_to("/opt")
chroot = Chroot(root)
print(json.dumps([chroot.which("sh"), chroot.which("mke2fs"), chroot.has("dangling"), chroot.has("nothing")]))
"""
        , root,
    )  # fmt: skip
    assert found == ["/sbin/sh", None, True, False]


def test_failures_carry_the_program_and_its_output(root: Path) -> None:
    found = isolated(
        OPEN_CHROOT
        + """
with open_chroot(root) as chroot:
    errors = []
    for argv in (["/bin/sh", "-c", "echo 'it is \\"wrong\\"' >&2; exit 7"], ["/bin/none", "a b"]):
        try:
            chroot.run(argv)
        except TwinrootError as error:
            errors.append([error.code, error.output])
print(json.dumps(errors))
"""
        , root,
    )  # fmt: skip
    assert found[0] == [7, 'it is "wrong"\n\n']
    assert found[1][0] == 127 and "/bin/none" in found[1][1]


def test_input_lines_and_odd_arguments(root: Path) -> None:
    found = isolated(
        OPEN_CHROOT
        + """
seen = []
with open_chroot(root) as chroot:
    out = chroot.run(["/bin/cat"], stdin=b"a\\nb", on_line=seen.append).stdout
    args = chroot.run(["/bin/sh", "-c", 'for a; do echo "<$a>"; done', "sh", "a b", "", "-x", "$HOME", "'\\""]).stdout
    env = sh(chroot, 'echo "$ODD"', env={"ODD": "two words"})
print(json.dumps([out, seen, args.splitlines(), env]))
"""
        , root,
    )  # fmt: skip
    assert found == ["a\nb", ["a", "b"], ["<a b>", "<>", "<-x>", "<$HOME>", "<'\">"], "two words"]


def test_the_environment_of_a_program_of_the_image_is_not_that_of_our_own(root: Path) -> None:
    """Neither do its search path and umask matter for what we start ourselves, nor ours for it."""
    before = os.umask(0o077)
    try:
        found = isolated(
            OPEN_CHROOT
            + """
os.environ["TMPDIR"] = "/no/such/place"
odd = {"PATH": "/none", "IFS": "x", "ENV": "/none", "root": "/x", "A": "it's \\"$x\\"\\n", "-u": "b"}
with open_chroot(root) as chroot:
    env = chroot.run(["/bin/env", "-0"], env=odd).stdout
    host = sh(chroot, "hostname; umask")
print(json.dumps([env.split("\\0"), host, odd]))
""",
            root,
        )
    finally:
        os.umask(before)
    env, host, odd = found
    values = dict(line.split("=", 1) for line in env if line)
    assert {name: values[name] for name in odd} == odd
    assert host.split() == ["localhost", "0022"]
    assert not [name for name in values if name.startswith(("TWINROOT", "TMPDIR"))]


def test_a_directory_of_the_host_is_shown_read_only(root: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown, with: 'odd' name"
    shown.mkdir()
    (shown / "file").write_text("content")
    os.utime(root, (1, 1))
    found = isolated(
        OPEN_CHROOT
        + """
with open_chroot(root) as chroot:
    os.utime(root, (1, 1))
    with chroot.showing(Path(sys.argv[2]), "shown") as path:
        found = [path, sh(chroot, "cat /shown/file"), sh(chroot, "touch /shown/x 2>/dev/null || echo no")]
    found += [(root / "shown").exists(), root.stat().st_mtime]
print(json.dumps(found))
""",
        root, shown,
    )  # fmt: skip
    assert found == ["/shown", "content", "no", False, 1]
    assert [path.name for path in shown.iterdir()] == ["file"]


def test_mounts_under_mounts(root: Path) -> None:
    """What another mount covers is in no program's way, and not in ours."""
    found = isolated(
        OPEN_CHROOT
        + """
from twinroot.sandbox.mounts import Mounts
with Mounts() as mounts:
    for name in ("a", "a/b", "a"):
        mounts.tmpfs(root / name, "mode=755")
    (root / "a/b").mkdir()
    with open_chroot(root) as chroot:
        print(json.dumps(sh(chroot, "cat /proc/self/mounts")))
"""
        , root,
    )  # fmt: skip
    options = {row.split()[1]: row.split()[3] for row in found.splitlines()}
    assert {"nodev"} <= set(options["/a"].split(",")) & set(options["/"].split(","))
    assert "nodev" not in options["/dev/null"].split(",")


def test_a_host_without_user_namespaces(root: Path, tmp_path: Path) -> None:
    """A script runs, and is told why it cannot mount. The host's limit is played by that of a user namespace."""
    code = f"""
import json, os, sys
from pathlib import Path
from twinroot.sandbox.namespace import isolate
Path("/proc/sys/user/max_user_namespaces").write_text("0")
isolate()
{OPEN_CHROOT}
with open_chroot(root) as chroot:
    print(chroot.run(["/bin/sh", "-c", "echo runs; mount -t tmpfs none /sys || echo no"], may_mount=True, merged=True))
"""
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "this host allows no user namespace" in done.stdout
    assert done.stdout.index("runs") < done.stdout.index("permission denied") < done.stdout.rindex("no")
