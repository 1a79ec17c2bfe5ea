"""Systems that dm-verity protects and a unified kernel starts: whether they find on a machine what they look for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.efi_programs import efi_program
from tests.unit.config.host.texts import HASH

from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.errors import ServicingError
from twinroot.agent.servicing import sealed
from twinroot.agent.servicing.job import Job
from twinroot.agent.states import ServicingType
from twinroot.agent.storage.devices import Devices
from twinroot.config.host.config import HostConfig
from twinroot.config.load_host import parse_host_config
from twinroot.events import silent
from twinroot.formats import gpt
from twinroot.formats.cosi.model import BootEntry, Bootloader
from twinroot.formats.cosi.reader import open_cosi
from twinroot.formats.cosi.writer import CosiPlan, FilesystemPlan, PartitionImage, VerityPlan, write_cosi
from twinroot.formats.source import FileRegion
from twinroot.units import MIB, partition_type

CONFIGURATION = f"""\
image: {{url: https://images.example/os.cosi, sha384: {HASH}}}
storage:
  disks:
    - id: os
      device: /dev/vda
      partitionTableType: gpt
      partitions:
        - {{id: esp, type: esp, size: 64M}}
        - {{id: boot-a, type: xbootldr, size: 64M}}
        - {{id: boot-b, type: xbootldr, size: 64M}}
        - {{id: root-a, type: root, size: 2G}}
        - {{id: root-b, type: root, size: 2G}}
        - {{id: hashes-a, type: root-verity, size: 64M}}
        - {{id: hashes-b, type: root-verity, size: 64M}}
        - {{id: var-a, type: var, size: 2G}}
        - {{id: var-b, type: var, size: 2G}}
        - {{id: trident, type: linux-generic, size: 64M}}
  abUpdate:
    volumePairs:
      - {{id: boot, volumeAId: boot-a, volumeBId: boot-b}}
      - {{id: root, volumeAId: root-a, volumeBId: root-b}}
      - {{id: hashes, volumeAId: hashes-a, volumeBId: hashes-b}}
      - {{id: var, volumeAId: var-a, volumeBId: var-b}}
  verity: [{{id: protected, name: root, dataDeviceId: root, hashDeviceId: hashes}}]
  filesystems:
    - {{deviceId: esp, mountPoint: /boot/efi}}
    - {{deviceId: boot, mountPoint: /boot}}
    - {{deviceId: protected, mountPoint: {{path: /, options: "defaults,ro"}}}}
    - {{deviceId: var, mountPoint: /var}}
    - {{deviceId: trident, mountPoint: /var/lib/trident}}
"""
DATA = {"a": "11111111-aaaa-4aaa-8aaa-111111111111", "b": "22222222-bbbb-4bbb-8bbb-222222222222"}
HASHES = {"a": "33333333-aaaa-4aaa-8aaa-333333333333", "b": "44444444-bbbb-4bbb-8bbb-444444444444"}
VAR = "55555555-bbbb-4bbb-8bbb-555555555555"


@dataclass(frozen=True)
class Written:
    """What the devices of a machine hold once an update of B was written, each a file below `place`."""

    place: Path
    root_hash: str
    config: HostConfig = field(default_factory=lambda: parse_host_config(CONFIGURATION, "a").config)

    @property
    def good(self) -> str:
        """What the kernel of the image ought to be told."""
        data, hashes = (f"systemd.verity_root_{what}=UUID=" for what in ("data", "hash"))
        return f"roothash={self.root_hash} {data}{DATA['b']} {hashes}{HASHES['b']}"

    @contextmanager
    def job(self) -> Iterator[Job]:
        """The update."""
        ids = [each.id for each in self.config.storage.disks[0].partitions]
        devices = Devices(self.config.storage, {name: str(self.place / name) for name in ids}, "volume-b")
        variables = EfiVariables(self.place)
        with open_cosi(self.place / "os.cosi") as cosi:
            yield Job(ServicingType.AB_UPDATE, self.config, cosi, devices, "volume-a", 0, variables, silent)

    def content(self, line: str, *addons: str) -> Path:
        """An ESP whose kernel says this, with addons that say more."""
        directory = self.place / "content/EFI/Linux"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        directory.joinpath("vmlinuz.efi").write_bytes(efi_program({".cmdline": line.encode()}))
        for number, addon in enumerate(addons):
            place = directory / f"vmlinuz.efi.extra.d/{number}.addon.efi"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(efi_program({".cmdline": addon.encode()}))
        return self.place / "content"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    place = tmp_path_factory.mktemp("devices")
    hashes = {}
    for half in "ab":
        root, tree = place / f"root-{half}", place / f"hashes-{half}"
        _ext4(root, DATA[half])
        command: list[str | Path] = ["veritysetup", "format", f"--uuid={HASHES[half]}", root, tree]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        hashes[half] = done.stdout.rpartition("Root hash:")[2].split()[0]
    for name in ("var-b", "trident", "boot-b"):
        _ext4(place / name, VAR.replace("555555555555", f"{len(name):012}"))
    (place / "esp").write_bytes(bytes(MIB))
    _write_image(place, hashes["b"])
    return Written(place, hashes["b"])


def _ext4(path: Path, uuid: str) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-U", uuid, path, "4M"], check=True)


def _write_image(place: Path, root_hash: str) -> None:
    kinds = {"root-b": partition_type("root", "x86_64"), "hashes-b": partition_type("root-verity", "x86_64")}
    entries, images, start = [], [], 2048
    for number, (name, kind) in enumerate(kinds.items(), 1):
        size = (place / name).stat().st_size
        end = start + 8 * MIB // 512
        entries.append(gpt.Partition(number, kind, UUID(int=number), start, end - 1, 0, name))
        images.append(PartitionImage(number, FileRegion(place / name, 0, size)))
        start = end
    table = gpt.Table(UUID(int=99), start * 512 + MIB, tuple(entries))
    plan = CosiPlan(
        image_id=UUID("5a2d4c0e-6b0e-4b7e-9f64-0b5d1c2e3f40"), os_arch="x86_64", os_release="ID=test\n",
        disk_size=table.disk_size, gpt=gpt.primary_bytes(table), base="small", partitions=tuple(images),
        filesystems=(FilesystemPlan(1, "/", "ext4", DATA["b"], kinds["root-b"], VerityPlan(2, root_hash)),),
        packages=(), bootloader=Bootloader("systemd-boot", (BootEntry("uki-standalone", "/a.efi", "", "6.1"),)),
    )  # fmt: skip
    write_cosi(place / "os.cosi", plan)


def check(written: Written, line: str, *addons: str) -> None:
    """All that is checked of a kernel."""
    content = written.content(line, *addons)
    with written.job() as job:
        assert job.uki and job.sealed
        sealed.check_kernel(job, content)
        sealed.check_devices(job, content)


def test_a_kernel_that_names_what_was_written(written: Written) -> None:
    check(written, f"root=/dev/mapper/root {written.good} quiet")
    check(written, "quiet", written.good)
    check(written, written.good.replace("UUID=", "/dev/disk/by-uuid/"))
    check(written, f"roothash={'00' * 32} {written.good}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("roothash=", "usrhash=", "has no roothash=, but the image is said to have"),
        ("roothash=", "roothash=ab", "has roothash=ab"),
        (DATA["b"], DATA["a"], f"looks for UUID={DATA['a']}, which is not root on this machine"),
        (f"UUID={DATA['b']}", "PARTLABEL=root-b", "looks for PARTLABEL=root-b, which is not root"),
        (f"UUID={DATA['b']}", "/dev/a\0\x1bb", "looks for /dev/a\ufffd\ufffdb, which is not root on this machine"),
        (HASHES["b"], HASHES["a"], f"looks for UUID={HASHES['a']}, which is not hashes on this machine"),
        (f"systemd.verity_root_hash=UUID={HASHES['b']}", "", "looks for PARTUUID="),
    ],
)
def test_a_kernel_that_would_not_find_it(written: Written, old: str, new: str, message: str) -> None:
    with pytest.raises(ServicingError, match=message) as caught:
        check(written, written.good.replace(old, new))
    assert caught.value.name == "verity-mismatch" and caught.value.hint


def test_hashes_that_have_one_name_in_both_halves(written: Written, tmp_path: Path) -> None:
    shutil.copytree(written.place, tmp_path / "same")
    shutil.copy(tmp_path / "same/hashes-b", tmp_path / "same/hashes-a")
    with pytest.raises(ServicingError, match=f"UUID={HASHES['b']}, which both halves of hashes are") as caught:
        check(replace(written, place=tmp_path / "same"), written.good)
    assert caught.value.name == "duplicate-fs-uuid-ab-update"


FSTAB = """\
UUID=boot /boot ext4 defaults 0 2
/dev/mapper/root / ext4 ro 0 1
UUID=var /var ext4 defaults 0 2
UUID=trident /var/lib/trident ext4 defaults 0 2
"""


def settle(written: Written, root: Path, fstab: str, conf: str = "") -> None:
    """All that is checked of a root with this fstab."""
    for name in ("var-b", "trident", "boot-b"):
        uuid = VAR.replace("555555555555", f"{len(name):012}")
        fstab = fstab.replace(f"UUID={name.removesuffix('-b')} ", f"UUID={uuid} ")
    (root / "etc/trident").mkdir(parents=True, exist_ok=True)
    (root / "etc/fstab").write_text(fstab)
    (root / "etc/trident/trident.conf").write_text(conf)
    with written.job() as job:
        sealed.check_root(job, root)


def test_an_fstab_that_names_what_the_machine_has(
    written: Written, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settle(written, tmp_path, FSTAB)
    assert [each.getMessage() for each in caplog.records] == ["/etc/fstab of the image does not mount esp at /boot/efi"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("UUID=var ", f"UUID={VAR} ", "mounts UUID=.* at /var, which is not var here"),
        ("UUID=trident ", "PARTLABEL=other ", "mounts PARTLABEL=other at /var/lib/trident, which is not trident here"),
        ("UUID=trident ", "#", "does not mount /var/lib/trident, where the agent keeps its database"),
    ],
)
def test_an_fstab_that_names_something_else(written: Written, tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ServicingError, match=message) as caught:
        settle(written, tmp_path, FSTAB.replace(old, new))
    assert caught.value.name == "generate-fstab" and caught.value.hint


def test_a_database_that_the_image_would_look_for_elsewhere(written: Written, tmp_path: Path) -> None:
    settle(written, tmp_path, FSTAB, "DatastorePath=/var/lib/trident/datastore.sqlite\n")
    with pytest.raises(ServicingError, match="of the image it is /var/a"):
        settle(written, tmp_path, FSTAB, "DatastorePath=/var/a.sqlite\n")


def test_settings_that_have_no_effect(written: Written) -> None:
    network = parse_host_config(f"{CONFIGURATION}os: {{netplan: {{version: 2}}}}\n", "a").config
    with replace(written, config=network).job() as job, pytest.raises(ServicingError, match="netplan cannot reach"):
        sealed.check_settings(job)
    with written.job() as job:
        sealed.check_settings(job)
