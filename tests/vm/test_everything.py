"""One image that uses every section of `os`, scripts and several filesystems at once, seen from inside, on each base.

What is checked on image files alone is in tests/images; here is what only a running system shows: logins, modules,
mounts, the SELinux mode.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.images import BASE_DEB, BASE_RPM, built, customize
from tests.vm.hardware import QUICK

from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images]

_PASSWORD = "correct horse"
_CONFIG = """
previewFeatures: [btrfs]
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 8G
      partitions:
        - {id: esp, type: esp, size: 64M}
        - {id: root, type: root, size: 4G}
        - {id: var, type: var, size: 2G, label: variable}
        - {id: srv, type: srv, size: 512M}
        - {id: swap, type: swap, size: 64M}
        - {id: spare, size: 16M}
        - {id: home, type: home, size: grow}
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: umask=0077}}
    - {deviceId: root, type: ext4, mountPoint: /}
    - {deviceId: var, type: ext4, mountPoint: {path: /var, options: "defaults,x-initrd.mount", idType: part-label}}
    - {deviceId: srv, type: xfs, mountPoint: {path: /srv, idType: uuid}}
    - deviceId: home
      type: btrfs
      btrfs:
        subvolumes:
          - {path: "@home", mountPoint: {path: /home, options: noatime}}
          - {path: "@data", mountPoint: /data, quota: {referencedLimit: 64M}}
os:
  bootloader: {resetType: hard-reset}
  hostname: everything
  kernelCommandLine:
    extraCommandLine: [console=ttyS0, norandmaps, "greeting=hello world"]
  packages:
    install: [PACKAGES]
  selinux: {mode: permissive}
  groups:
    - {name: operators, gid: 1500}
  users:
    - name: alice
      uid: 1600
      secondaryGroups: [operators]
      startupCommand: /bin/bash
      password: {type: hashed, value: "HASH"}
      sshPublicKeyPaths: [key.pub]
    - name: bob
      password: {type: locked}
      passwordExpiresDays: 30
  additionalFiles:
    - {content: "made by hand\\n", destination: /etc/made, permissions: "640"}
  additionalDirs:
    - {source: app, destination: /opt/app, newDirPermissions: "750", childFilePermissions: "555"}
  services:
    enable: [SSH, own.timer]
    disable: [systemd-networkd-wait-online]
  modules:
    - {name: loop, loadMode: always, options: {max_loop: "5"}}
    - {name: pcspkr, loadMode: disable}
  overlays:
    - mountPoint: /etc
      lowerDirs: [/etc]
      upperDir: /var/overlays/etc/upper
      workDir: /var/overlays/etc/work
      isInitrdOverlay: true
      mountDependencies: [/var]
    - {mountPoint: /opt, lowerDirs: [/opt], upperDir: /var/overlays/opt/upper, workDir: /var/overlays/opt/work}
scripts:
  postCustomization:
    - path: post.sh
      arguments: [one, two words]
      environmentVariables: {REGION: north}
  finalizeCustomization:
    - {name: last, content: "test ! -e /etc/last && hostname > /etc/last"}
"""
_UNITS = {
    "own.service": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo ran > /run/own'\n",
    "own.timer": "[Timer]\nOnBootSec=1\n[Install]\nWantedBy=timers.target\n",
}


@dataclass(frozen=True)
class Base:
    """A base image and the names that things have on it."""

    image: Path
    ssh: str
    packages: str


BASES = {
    "rpm": Base(
        BASE_RPM, "sshd",
        "openssh-server, openssh-clients, selinux-policy, policycoreutils, libselinux-utils, btrfs-progs, xfsprogs",
    ),
    "debian": Base(
        BASE_DEB, "ssh",
        "openssh-server, openssh-client, selinux-policy-default, policycoreutils, selinux-utils, btrfs-progs, xfsprogs",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=BASES)
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The booted image, built and booted once for all tests of one base. A user logs in by a password, then root."""
    base = BASES[request.param]
    place = tmp_path_factory.mktemp(f"everything-{request.param}")
    (place / "app/bin").mkdir(parents=True)
    (place / "app/bin/tool").write_text("#!/bin/sh\necho tool\n")
    (place / "post.sh").write_text(
        'set -eu\nprintf "%s|" "$@" "$REGION" "$HOME" > /etc/post\n'
        "cp /_imageconfigs/app/bin/tool /usr/local/bin/copied\nsleep 1000 &\n"
    )
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / "key")], check=True)
    hashed = subprocess.run(["openssl", "passwd", "-6", _PASSWORD], capture_output=True, text=True, check=True)
    text = _CONFIG.replace("PACKAGES", base.packages).replace("HASH", hashed.stdout.strip()).replace("SSH", base.ssh)
    units = ""
    for name, content in _UNITS.items():
        (place / name).write_text(content)
        units += f"    - {{source: {name}, destination: /etc/systemd/system/{name}}}\n"
    (place / "config.yaml").write_text(text.replace("  additionalDirs:", f"{units}  additionalDirs:"))
    image = place / "image.qcow2"
    done = customize(place / "config.yaml", built(base.image), image, place / "build", output_format="qcow2")
    assert done.code == 0, done.stderr
    with Machine(image, "qcow2", QUICK, log_file=place / "console.log") as machine:
        machine.console.login("alice", _PASSWORD, timeout=900)
        assert machine.console.check("id -un").strip() == "alice"
        machine.console.send("exit\n")
        machine.console.login(timeout=120)
        key = (place / "key").read_text()
        machine.console.check(f"umask 077; cat > /run/key <<'END'\n{key}END")
        yield machine.console


def test_it_comes_up_without_failures(console: Console) -> None:
    state = console.run("systemctl is-system-running --wait", timeout=600).output.strip()
    failed = console.check("systemctl --failed --no-legend --plain").strip()
    assert (state, failed) == ("running", "")
    console.check("findmnt --verify --verbose")


def test_file_systems(console: Console) -> None:
    rows = console.check("for p in / /var /srv /home /data /boot/efi; do findmnt -nro FSTYPE --mountpoint $p; done")
    assert rows.split() == ["ext4", "ext4", "xfs", "btrfs", "btrfs", "vfat"]
    assert "noatime" in console.check("findmnt -nro OPTIONS --mountpoint /home")
    assert console.check("swapon --noheadings --show=NAME").strip() == "/dev/vda5"
    assert "subvol=/@data" in console.check("findmnt -nro OPTIONS --mountpoint /data")
    assert console.run("dd if=/dev/urandom of=/data/big bs=1M count=100 conv=fsync").code != 0  # beyond the quota
    console.check("rm -f /data/big; dd if=/dev/urandom of=/data/small bs=1M count=5 conv=fsync")
    assert " TYPE=" not in console.run("blkid -p /dev/vda6").output


def test_names_and_arguments(console: Console) -> None:
    assert console.check("hostname").strip() == "everything"
    assert '"greeting=hello world"' in console.check("cat /proc/cmdline")


def test_files_and_directories(console: Console) -> None:
    assert console.check("cat /etc/made; stat -c '%a %U' /etc/made").split("\n")[:2] == ["made by hand", "640 root"]
    assert console.check("stat -c %a /opt/app /opt/app/bin /opt/app/bin/tool").split() == ["750", "750", "555"]


def test_scripts(console: Console) -> None:
    assert console.check("cat /etc/post") == "one|two words|north|/root|"
    assert console.check("sh /usr/local/bin/copied").strip() == "tool"
    assert console.check("cat /etc/last").strip() == "localhost"


def test_services(console: Console) -> None:
    assert console.check("systemctl is-active ssh.service sshd.service | grep -c '^active'").strip() in ("1", "2")
    console.check(
        "systemctl is-enabled own.timer; for i in $(seq 60); do test -e /run/own && exit; sleep 1; done; exit 1"
    )
    assert console.check("cat /run/own").strip() == "ran"
    assert console.run("systemctl is-enabled systemd-networkd-wait-online").output.strip() == "disabled"


def test_modules(console: Console) -> None:
    assert console.check("cat /sys/module/loop/parameters/max_loop").strip() == "5"
    assert "pcspkr" in console.check("grep -rh pcspkr /etc/modprobe.d")


def test_overlays(console: Console) -> None:
    assert console.check("findmnt -nro FSTYPE --mountpoint /etc; findmnt -nro FSTYPE --mountpoint /opt").split() == [
        "overlay",
        "overlay",
    ]
    console.check("touch /etc/written && test -e /var/overlays/etc/upper/written")


def test_selinux(console: Console) -> None:
    assert console.check("getenforce").strip() == "Permissive"
    assert ":shadow_t:" in console.check("ls -Z /etc/shadow")
    assert ":etc_t:" in console.check("ls -dZ /etc")


def test_users(console: Console) -> None:
    assert console.check("id alice").split()[0] == "uid=1600(alice)"
    assert "operators" in console.check("id -nG alice").split()
    assert "bob:*:" in console.check("grep ^bob: /etc/shadow")
    ssh = "ssh -o LogLevel=ERROR -o StrictHostKeyChecking=no -o BatchMode=yes -i /run/key"
    console.check("for i in $(seq 60); do bash -c ': < /dev/tcp/localhost/22' && exit; sleep 1; done; exit 1")
    assert console.check(f"{ssh} alice@localhost 'id -un; echo $0'", timeout=180).split() == ["alice", "bash"]
    assert console.run(f"{ssh} bob@localhost true", timeout=180).code != 0
