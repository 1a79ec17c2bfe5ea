"""Host configurations as the peer's samples and end-to-end tests have them: all are right, and what they come to.

The texts are made here from short notes; each has the devices and relations of the file of the peer that it is named
after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.unit.config.host.texts import HASH

from twinroot.config.host.config import HostConfig
from twinroot.config.host.graph import Kind, graph_of
from twinroot.errors import Problem
from twinroot.units import GIB, MIB


@dataclass(frozen=True)
class Sample:
    """Notes of a configuration.

    `first`, `second`: partitions as `id type size`. `filesystems`: `device[ source[ type]]|mount point[|options]`.
    `rest` is other YAML.
    """

    name: str
    first: str
    second: str
    filesystems: str
    rest: str = ""
    swap: str = ""

    def text(self) -> str:
        """The configuration."""
        disks = "".join(
            f"    - id: {name}\n      device: /dev/disk/by-id/{name}\n      partitionTableType: gpt\n"
            f"      partitions: [{parts}]\n"
            for name, notes in (("one", self.first), ("two", self.second))
            for parts in [", ".join(_partition(note) for note in notes.split(", ") if note)]
        )
        filesystems = "".join(f"    - {_filesystem(note)}\n" for note in self.filesystems.split(", "))
        image = f"image: {{url: 'file:///images/{self.name}.cosi', sha384: {HASH}}}\n"
        storage = f"storage:\n  disks:\n{disks}  filesystems:\n{filesystems}"
        return image + storage + (f"  swap: [{self.swap}]\n" if self.swap else "") + self.rest


def _partition(note: str) -> str:
    name, kind, size = note.split(" ")
    return f"{{id: {name}, size: {size}, uuid: null, label: null{'' if kind == '-' else f', type: {kind}'}}}"


def _filesystem(note: str) -> str:
    device, _, where = note.partition("|")
    path, _, options = where.partition("|")
    name, *source = device.split(" ")
    keys = [f"deviceId: {name}", *(f"{key}: {value}" for key, value in zip(("source", "type"), source, strict=False))]
    if path:
        keys.append(f"mountPoint: {{path: {path}, options: '{options}'}}" if options else f"mountPoint: {path}")
    return f"{{{', '.join(keys)}}}"


def raid(*names: str, wait: int | None = None) -> str:
    """Mirrors, each of two partitions `name-1` and `name-2`."""
    arrays = "".join(
        f"      - {{id: {name}, name: {name}, level: raid1, devices: [{name}-1, {name}-2]}}\n" for name in names
    )
    return f"  raid:\n    software:\n{arrays}" + (f"    syncTimeout: {wait}\n" if wait else "")


def pairs(*names: str) -> str:
    """Pairs, each of `name-a` and `name-b`."""
    found = "".join(f"      - {{id: {name}, volumeAId: {name}-a, volumeBId: {name}-b}}\n" for name in names)
    return f"  abUpdate:\n    volumePairs:\n{found}"


def verity(name: str) -> str:
    return f"  verity:\n    - {{id: {name}, name: {name}, dataDeviceId: {name}-data, hashDeviceId: {name}-hash}}\n"


def luks(pcrs: str, *names: str) -> str:
    """Encrypted volumes, each on `name-e`."""
    volumes = "".join(f"      - {{id: {name}, deviceName: luks-{name}, deviceId: {name}-e}}\n" for name in names)
    return f"  encryption:\n    pcrs: [{pcrs}]\n    volumes:\n{volumes}"


OS = """\
os:
  netplan: {version: 2, ethernets: {all: {match: {name: 'e*'}, dhcp4: true}}}
  selinux: {mode: %s}
  users: [{name: tester, sshPublicKeys: [], sshMode: key-only}]
"""
HEALTH = """\
health:
  checks:
    - {name: file, runOn: [clean-install], path: /srv/check}
    - {name: text, runOn: [clean-install], content: exit 1}
    - {name: units, runOn: [clean-install], systemdServices: [none.service], timeoutSeconds: 15}
"""
SCRIPTS = """\
scripts:
  preServicing: [{name: a, runOn: [all], content: 'true'}]
  postProvision: [{name: b, runOn: [clean-install, ab-update], content: ls, arguments: [$TARGET_ROOT, -l]}]
  postConfigure: [{name: c, runOn: [all], content: 'true', environmentVariables: {A: b}}]
"""
BOOTABLE = "esp|/boot/efi|umask=0077, root|/"
TWO_SLOTS = "esp esp 1G, root-a root 8G, root-b root 8G"
ROOT_VERITY = (
    "esp|/boot/efi|umask=0077, boot|/boot, root|/|%s, state new|/var/lib/trident, "
    "over new|/var/lib/trident-overlay, var|/var"
)
USR_RAID = ("root-a", "root-b", "usr-data-a", "usr-data-b", "usr-hash-a", "usr-hash-b", "web-a-e", "web-b-e")

SAMPLES = [
    Sample("basic", "esp esp 64M, root root 8G", "", BOOTABLE),
    Sample("simple", "esp esp 64M, root root 8G", "", BOOTABLE, OS % "null" + SCRIPTS + HEALTH),
    Sample("base", "esp esp 64M, root-a root 8G, root-b root 8G, swap swap 2G, state - 128M, srv-e - 1G, m-1 - 1G, "
        "m-2 - 1G", "",
        BOOTABLE + ", state new ext4|/var/lib/trident, srv new ext4|/srv, m new ext4|/mnt/m",
        luks("secure-boot-policy", "srv") + raid("m") + pairs("root") + SCRIPTS + OS % "null" + HEALTH,
        "deviceId: swap"),
    Sample("raid", "esp esp 64M, root-1 root 4G, swap1 swap 2G", "esp2 esp 64M, root-2 root 4G, swap2 swap 2G",
        BOOTABLE,
        raid("root", wait=180) + OS % "null", "swap1, swap2"),
    Sample("raid-mirrored", "esp-1 esp 64M, root-1 root 4G, state-1 - 128M", "esp-2 esp 64M, root-2 root 4G, "
        "state-2 - 128M",
        BOOTABLE + ", state new|/var/lib/trident", raid("esp", "root", "state", wait=180)),
    Sample("encryption", "esp esp 64M, root root 4G, swap swap 2G, srv-e - 64M", "", BOOTABLE + ", srv new ext4|/srv",
        luks("7", "srv") + OS % "permissive", "swap"),
    Sample("verity", "esp esp 64M, boot xbootldr 512M, root-data root 8G, root-hash root-verity 400M, state - 128M, "
        "over - 128M, "
        "var - 1G, home - 1G", "", ROOT_VERITY % "ro" + ", home new ext4|/home", verity("root")),
    Sample("advanced", "esp1 esp 64M, boot-a-1 xbootldr 1G, boot-b-1 xbootldr 1G, root-data-a-1 root 4G, "
        "root-data-b-1 root 4G, "
        "root-hash-a-1 root-verity 1G, root-hash-b-1 root-verity 1G, over-a-1 - 128M, over-b-1 - 128M, var-a-1 - 1G, "
        "var-b-1 - 1G, "
        "state-1 - 128M, home-e-1 - 1G",
        "esp2 esp 64M, boot-a-2 xbootldr 1G, boot-b-2 xbootldr 1G, root-data-a-2 root 4G, root-data-b-2 root 4G, "
        "root-hash-a-2 root-verity 1G, root-hash-b-2 root-verity 1G, over-a-2 - 128M, over-b-2 - 128M, var-a-2 - 1G, "
        "var-b-2 - 1G, "
        "state-2 - 128M, home-e-2 - 1G",
        (ROOT_VERITY % "ro").replace("esp|", "esp1|") + ", esp2, home new ext4|/home",
        luks("7", "home") + raid("boot-a", "boot-b", "root-data-a", "root-data-b", "root-hash-a", "root-hash-b",
        "over-a", "over-b",
            "var-a", "var-b", "state", "home-e", wait=180)
        + pairs("boot", "root-data", "root-hash", "over", "var") + verity("root") + OS % "null"),
    Sample("e2e-simple", "esp esp 1G, root root 8G", "", BOOTABLE, OS % "enforcing"),
    Sample("e2e-split", "esp esp 1G, root root 8G", "", BOOTABLE, OS % "enforcing" + SCRIPTS),
    Sample("e2e-health-checks-install", "esp esp 1G, root root 8G", "", BOOTABLE, OS % "enforcing" + HEALTH),
    Sample("e2e-base", TWO_SLOTS + ", swap swap 2G, home home 1G, state linux-generic 1G", "",
        BOOTABLE + ", state new|/var/lib/trident, home new|/home", pairs("root") + OS % "enforcing", "swap"),
    Sample("e2e-encrypted-partition", "esp esp 1G, root root 8G, web-e - 1G", "", BOOTABLE + ", web new|/web",
        luks("secure-boot-policy", "web") + OS % "permissive"),
    Sample("e2e-raid-mirrored", "esp-1 esp 100M, root-1 root 4G, swap swap 1G, home-1 home 100M, state-1 - 500M",
        "esp-2 esp 100M, root-2 root 4G, home-2 home 100M, state-2 - 500M",
        BOOTABLE + ", home new|/home, state new|/var/lib/trident", raid("esp", "root", "home", "state") + SCRIPTS,
        "swap"),
    Sample("e2e-usr-verity", TWO_SLOTS + ", boot-a - 250M, boot-b - 250M, usr-data-a usr 5G, usr-data-b usr 5G, "
        "usr-hash-a usr-verity 1G, usr-hash-b usr-verity 1G, state - 1G", "",
        BOOTABLE + ", boot|/boot, usr|/usr|ro, state new|/var/lib/trident",
        pairs("boot", "root", "usr-data", "usr-hash") + verity("usr") + OS % "enforcing"),
    Sample("e2e-root-verity", "esp esp 1G, boot-a xbootldr 200M, boot-b xbootldr 200M, root-data-a root 4G, "
        "root-data-b root 4G, "
        "root-hash-a root-verity 1G, root-hash-b root-verity 1G, over-a - 100M, over-b - 100M, ext-a - 1G, "
        "ext-b - 1G, state - 1G, "
        "var - 2G", "", ROOT_VERITY % "defaults,ro" + ", ext|/var/lib/extensions",
        pairs("boot", "root-data", "root-hash", "over", "ext") + verity("root") + OS % "permissive"),
    Sample("e2e-combined", "esp esp 1G, boot-a xbootldr 200M, boot-b xbootldr 200M, state - 500M, "
        + ", ".join(f"{name}-1 - 2G" for name in USR_RAID), ", ".join(f"{name}-2 - 2G" for name in USR_RAID),
        BOOTABLE + ", boot|/boot, usr|/usr|'defaults,ro', web new|/web, state new|/var/lib/trident".replace("'", ""),
        luks("boot-loader-code, secure-boot-policy, kernel-boot", "web-a",
        "web-b") + "    clearTpmOnInstall: true\n" + raid(*USR_RAID)
        + pairs("boot", "root", "usr-data", "usr-hash", "web") + verity("usr") + OS % "enforcing"),
]  # fmt: skip

WARNINGS = {"e2e-root-verity": ["os.selinux.mode"]}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_sample_is_right(
    warnings_of: Callable[[str], list[Problem]], config_of: Callable[[str], HostConfig], sample: Sample
) -> None:
    text = sample.text().replace("|", "")
    assert [found.key for found in warnings_of(text)] == WARNINGS.get(sample.name, [])
    storage = config_of(text).storage
    assert [len(disk.partitions) for disk in storage.disks] == [
        len([note for note in notes.split(", ") if note]) for notes in (sample.first, sample.second)
    ]
    assert len(storage.filesystems) == len(sample.filesystems.replace("defaults,ro", "ro").split(", "))


def test_what_lies_upon_what(config_of: Callable[[str], HostConfig]) -> None:
    by_name = {sample.name: config_of(sample.text()) for sample in SAMPLES}
    combined = graph_of(by_name["e2e-combined"].storage)
    assert combined.by_id["web"].kind is Kind.PAIR
    assert [each.id for each in combined.partitions("web")] == [
        "web-a-e-1", "web-a-e-2", "web-b-e-1", "web-b-e-2",
    ]  # fmt: skip
    assert combined.size_of("web") == 2 * GIB - 16 * MIB
    assert combined.size_of("usr") == 2 * GIB
    assert [combined.is_on_pair(name) for name in ("usr", "web", "state", None)] == [True, True, False, False]
