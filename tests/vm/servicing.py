"""The rig for tests that service a machine: images of two versions, a server, and a machine that keeps its disk.

    def test_update(images: Images, machine: Serviced) -> None:
        with serving(images.second) as server, machine.switched_on() as running:
            write_file(running.console, HOST_CONFIGURATION, host_configuration(server, images.second))
            running.console.check("trident update --allowed-operations stage", timeout=900)
            running.power_cut()
        with machine.switched_on() as running:
            assert version(running.console) == "1"

The fixtures are in `conftest.py`. A machine that is still on when the block ends loses its power there. What a power
cut leaves is decided by the flushes that the machine made (`write_log`): the firmware's variables have no volatile
cache and stay as they are. A reboot of the guest is no power cut.
"""

from __future__ import annotations

import base64
import random
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import yaml
from tests.images import AB_CONFIG, BASE_DEB, BASE_RPM, BASE_UBUNTU, agent_debs, agent_rpms, built, customize
from tests.unit.agent.storage.range_server import RangeServer, Request
from tests.vm.hardware import QUICK, SAME_ADDRESSES
from tests.vm.watchdog import restarting
from tests.vm.write_log import replay

from twinroot.events import silent
from twinroot.formats.cosi.reader import open_cosi
from twinroot.output.bootable import bootable_disk
from twinroot.vm.console import Console
from twinroot.vm.machine import Machine, Options

GUEST_TO_HOST = "10.0.2.2"  # how QEMU's user network calls our loopback
HOST_CONFIGURATION = "/etc/trident/config.yaml"
VERSION_FILE = "/etc/version"
BOOT_TIMEOUT = 450.0  # seconds; a start takes 30 on an idle host; one that hangs is not to hold up all others
UPDATE_TIMEOUT = 900.0
# Half of it lies above 4 GiB, which Linux takes first. What it ran in the memory below, where the firmware has its
# stack, is still known to QEMU as code after a restart: each write to such a page is slow then, and the firmware, with
# a timer every 10 ms, sometimes came to nothing else for ever.
MEMORY_MIB = 4096


@dataclass(frozen=True)
class Image:
    """An image as a COSI file; `sha384` is what host configurations call it by, `version` what VERSION_FILE says."""

    path: Path
    version: str
    sha384: str


@dataclass(frozen=True)
class Images:
    """Two images that differ by their version, and by their identifiers, as any two do."""

    first: Image
    second: Image


# What an emulated machine would read and write at every update, or do at every start, and never uses.
_LESS = """
scripts:
  postCustomization:
    - content: |
        set -e
        systemctl mask auditd.service getty@tty1.service sshd.service systemd-binfmt.service user@.service
        cd /usr
        rm -r bin/python3* bin/vim* lib/python3* lib/*/libpython3* lib/*/libicu* lib/udev/hwdb* share/vim share/doc
        cd lib/modules/*/kernel
        rm -r arch/x86/kvm drivers/comedi drivers/hid drivers/infiniband drivers/net/ethernet drivers/target
        rm -r fs/btrfs fs/ceph fs/nfs fs/nfsd fs/smb net/ceph net/netfilter/ipset net/sched net/sctp net/sunrpc net/tipc
        depmod "$(basename "$(dirname "$PWD")")"
"""


@dataclass
class Builder:
    """Builds images of the example's configuration, or another one; the second costs little, as steps are kept."""

    place: Path
    configuration: Path = AB_CONFIG
    esp_size: str = "8M"
    base: ClassVar[Path] = BASE_RPM

    def image(self, version: str, more: str = "") -> Image:
        """An image with this version. `more` is YAML to go below `os`, indented by two spaces, or other sections."""
        text = self._system()
        text += f"  additionalFiles:\n    - {{destination: {VERSION_FILE}, content: '{version}'}}\n"
        # An empty unit does nothing. This one unpacks the initrd at every shutdown, which takes minutes when emulated.
        text += f"    - {{destination: /etc/systemd/system/mdadm-shutdown.service, content: ''}}\n{more}"
        config, output = self.place / f"{version}.yaml", self.place / f"{version}.cosi"
        config.write_text(text)
        done = customize(
            config, built(self.base), output, self.place / "build", *self._sources(),
            "--cache-dir", self.place / "cache", output_format="cosi",
        )  # fmt: skip
        assert done.code == 0, done.stderr
        return image_in(self.place, version)

    def _system(self) -> str:
        """The configuration, which ends in `os`."""
        text = self.configuration.read_text().rstrip("\n").replace("size: 8M", f"size: {self.esp_size}")
        text, found = re.subn(r"( *)- rd\.info\n", rf"\g<0>\1- {SAME_ADDRESSES}\n", text)
        assert found == 1
        return f"{_LESS}{text}\n"

    def _sources(self) -> tuple[object, ...]:
        """Where packages come from that are not those of the base."""
        return ("--rpm-source", agent_rpms())


_DEBIAN = """
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 5G
      partitions:
        - {{id: esp, type: esp, size: 32M}}
        - {{id: root-a, size: 2G}}
        - {{id: root-b, size: 2G}}
        - {{id: trident, size: 100M, type: linux-generic, label: trident}}
  filesystems:
    - {{deviceId: esp, type: fat32, mountPoint: {{path: /boot/efi, options: umask=0077}}}}
    - {{deviceId: root-a, type: ext4, mountPoint: /}}
    - {{deviceId: trident, type: ext4, mountPoint: /var/lib/trident}}
scripts:
  postCustomization:
    - content: |
        set -e
        dpkg --install /opt/agent/trident_*.deb /opt/agent/trident-service_*.deb
        rm -r /opt/agent
        systemctl enable trident.service
os:
  bootloader: {{resetType: hard-reset}}
  hostname: testimage
  kernelCommandLine: {{extraCommandLine: [console=ttyS0, {word}]}}
  packages: {{install: [dosfstools, efibootmgr, lsof, openssl]}}
  additionalDirs: [{{source: {packages}, destination: /opt/agent}}]
"""


class DebianBuilder(Builder):
    """The same of Debian, with the agent's Debian packages; its boot loaders are signed, and large."""

    base = BASE_DEB

    def _system(self) -> str:
        return _DEBIAN.format(packages=agent_debs(), word=SAME_ADDRESSES)

    def _sources(self) -> tuple[object, ...]:
        return ()


class UbuntuBuilder(DebianBuilder):
    """The same of Ubuntu."""

    base = BASE_UBUNTU


def image_in(place: Path, version: str) -> Image:
    """An image that was built into a folder."""
    path = place / f"{version}.cosi"
    with open_cosi(path) as cosi:
        return Image(path, version, cosi.metadata_sha384)


def images_in(place: Path) -> Images:
    """The images of the versions 1 and 2 of a folder."""
    return Images(image_in(place, "1"), image_in(place, "2"))


class Halt:
    """Stops the answer of a server after so many bytes of the file, so that something can happen just then.

    Wait for `reached`, do it, and set `go_on`; without that the connection stays as it is.
    """

    def __init__(self, after: int) -> None:
        self.after = after
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self, request: Request) -> bool:
        """See a request; never answers it itself but by its first part."""
        wanted = request.headers.get("Range", "").removeprefix("bytes=").split("-")
        data = request.server_state.data
        start, last = int(wanted[0]), min(int(wanted[1] or len(data) - 1), len(data) - 1)
        if self.go_on.is_set() or not start <= self.after <= last:
            return False
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{last}/{len(data)}")
        request.send_header("Content-Length", str(last + 1 - start))
        if request.server_state.etag:
            request.send_header("ETag", request.server_state.etag)
        request.end_headers()
        request.wfile.write(data[start : self.after])
        request.wfile.flush()
        self.reached.set()
        self.go_on.wait()
        request.wfile.write(data[self.after : last + 1])
        return True


@dataclass
class Serviced:
    """A machine that keeps its disk and its firmware's variables. `place` is a folder of its own."""

    place: Path
    disk: Path
    variables: Path
    starts: int = 0
    options: Options = field(default_factory=lambda: replace(QUICK, memory_mib=MEMORY_MIB))

    @contextmanager
    def switched_on(self, survivors: random.Random | None = None, *, login: bool = True) -> Iterator[Machine]:
        """Switch it on, and log in, unless not wanted. At the end its power is cut if it is still on.

        Its disk has then what it flushed; `survivors` draws which other writes got there, too.
        """
        self.starts += 1
        log = self.place / f"writes-{self.starts}.log"
        options = replace(self.options, network=True, efi_variables=self.variables, write_log=log)
        console = self.place / f"console-{self.starts}.log"
        with Machine(self.disk, "raw", options, log_file=console) as machine, restarting(machine):
            if login:
                machine.console.login(timeout=BOOT_TIMEOUT)
            yield machine
            if machine.running:
                machine.power_cut()
        replay(log, self.disk, survivors)
        log.unlink()

    def copy(self, place: Path) -> Serviced:
        """Another machine that is as this one is now, which must be off."""
        place.mkdir(parents=True, exist_ok=True)
        for path in (self.disk, self.variables):
            subprocess.run(["cp", "--sparse=always", path, place / path.name], check=True)
        return Serviced(place, place / self.disk.name, place / self.variables.name, options=self.options)

    def discard(self) -> None:
        """Remove what takes room; what the consoles showed stays."""
        for path in (self.disk, *self.place.glob("writes-*.log")):
            path.unlink(missing_ok=True)


def machine_in(place: Path) -> Serviced:
    """The machine whose disk and variables are in a folder."""
    return Serviced(place, place / "machine.raw", place / "variables.fd")


def first_start(image: Image, place: Path) -> Serviced:
    """A machine that was started from an image, and told so; it is off."""
    unpacked = bootable_disk(image.path, place, silent).path
    machine = machine_in(place)
    unpacked.rename(machine.disk)
    with machine.switched_on() as running:
        running.console.check("trident offline-initialize --disk /dev/vda", timeout=300)
        switch_off(running)
    return machine


@contextmanager
def serving(image: Image, halt: Halt | None = None) -> Iterator[RangeServer]:
    """A web server with an image; `url_for_guest` tells where guests find it."""
    server = RangeServer(image.path.read_bytes(), etag=f'"{image.sha384[:16]}"')
    if halt:
        server.answer = halt
    with server.running():
        try:
            yield server
        finally:
            if halt:
                halt.go_on.set()


def url_for_guest(server: RangeServer) -> str:
    """The URL by which a guest gets what the server has."""
    return server.url.replace("127.0.0.1", GUEST_TO_HOST)


def host_configuration(server: RangeServer, image: Image, more: dict[str, object] | None = None) -> str:
    """The configuration for an update to an image, as YAML: the machine's storage stays as it is."""
    return yaml.safe_dump({"image": {"url": url_for_guest(server), "sha384": image.sha384}, **(more or {})})


def write_file(console: Console, path: str, content: str) -> None:
    """Write a file in the guest, and have it on the disk."""
    packed = base64.b64encode(content.encode()).decode()
    console.check(f"mkdir -p $(dirname {path}) && echo {packed} | base64 -d > {path} && sync {path}")


def switch_off(machine: Machine) -> None:
    """Shut the guest down in good order."""
    machine.console.send("systemctl poweroff\n")
    machine.wait_off(BOOT_TIMEOUT)


def reboot(machine: Machine) -> None:
    """Reboot the guest and log in again."""
    machine.console.send("systemctl reboot\n")
    machine.console.login(timeout=BOOT_TIMEOUT)


def await_start(machine: Machine) -> None:
    """Log in once the guest, which reboots by itself, is up again."""
    machine.console.login(timeout=BOOT_TIMEOUT)


def version(console: Console) -> str:
    """Which image the guest runs."""
    return console.check(f"cat {VERSION_FILE}").strip()


def status(console: Console) -> dict[str, object]:
    """The machine's status, as `trident get` has it."""
    found: dict[str, object] = yaml.safe_load(console.check("trident -v off get status", timeout=300))
    return found


def begin_and_await(running: Machine, command: str) -> None:
    """Begin a command that ends with a restart, and wait for that."""
    running.console.send(f"{command} -v info\n")
    await_start(running)


def settled(console: Console) -> dict[str, object]:
    """The status when the commit at the start has ended."""
    console.run("systemctl is-system-running --wait", timeout=300)
    return status(console)


def about(found: dict[str, object]) -> tuple[object, object]:
    return found["servicingState"], found["abActiveVolume"]
