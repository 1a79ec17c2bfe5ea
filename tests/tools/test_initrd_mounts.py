"""The script that mounts overlays in an initramfs of initramfs-tools, with the few programs that there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from twinroot.customize.overlays import INITRD_MOUNTS

BUSYBOX, SHELL = shutil.which("busybox"), shutil.which("dash")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(BUSYBOX is None or SHELL is None, reason="needs busybox-static and dash"),
]
FSTAB = """\
# comment x-initrd.mount
UUID=1 / ext4 defaults 0 1
PARTUUID=2 /var ext4 defaults,noatime,x-initrd.mount 0 2
/dev/vda9 /a\\040b ext4 x-initrd.mount 0 2
overlay /etc overlay lowerdir=/sysroot/etc:/sysroot/usr/x,upperdir=/sysroot/var/u\\040p,workdir=/sysroot/var/w,x-systemd.requires=/sysroot/var,x-initrd.mount 0 0
"""  # noqa: E501
FUNCTIONS = 'resolve_device() { echo "/dev/for-$1"; }\npanic() { echo "panic: $*"; exit 1; }\n'


@pytest.fixture
def initramfs(tmp_path: Path) -> Path:
    """As klibc's programs make one: no tr, no sed; mount says what it was told, in brackets."""
    for name in ("bin", "dev", "scripts", "root/etc"):
        (tmp_path / name).mkdir(parents=True)
    assert BUSYBOX and SHELL
    shutil.copy(BUSYBOX, tmp_path / "bin/mkdir")
    shutil.copy(SHELL, tmp_path / "bin/sh")  # the shell of busybox would bring tr and sed along
    libraries = subprocess.run(["ldd", SHELL], capture_output=True, text=True, check=True).stdout
    for path in re.findall(r"(/\S+) \(", libraries):
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path[1:])
    for name, text in (("mount", 'printf "[%s]" "$@"; echo\n'), ("modprobe", 'echo "$@"\n')):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "scripts/functions").write_text(FUNCTIONS)
    (tmp_path / "script").write_text(INITRD_MOUNTS)
    (tmp_path / "root/etc/fstab").write_text(FSTAB)
    return tmp_path


def test_what_is_mounted(initramfs: Path) -> None:
    env = {"PATH": "/bin", "rootmnt": "/root"}
    command = ["/usr/sbin/chroot", str(initramfs), "/bin/sh", "/script"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    layers = "lowerdir=/root/etc:/root/usr/x,upperdir=/root/var/u p,workdir=/root/var/w"
    assert done.stdout.splitlines() == [
        "[-t][ext4][-o][noatime][/dev/for-PARTUUID=2][/root/var]",
        "[-t][ext4][-o][][/dev/for-/dev/vda9][/root/a b]",
        "-q overlay",
        f"[-t][overlay][-o][{layers}][overlay][/root/etc]",
    ]
    assert (initramfs / "root/a b").is_dir() and (initramfs / "root/var").is_dir()


def test_it_depends_on_nothing(initramfs: Path) -> None:
    """initramfs-tools asks each script for what has to come before it."""
    command = ["/usr/sbin/chroot", str(initramfs), "/bin/sh", "/script", "prereqs"]
    done = subprocess.run(command, env={"PATH": "/bin"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
