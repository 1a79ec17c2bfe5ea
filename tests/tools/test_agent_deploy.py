"""Deploying a real image with verity onto files, growing it, and mounting it with everything below."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from tests.isolated import isolated

from twinroot.agent.errors import ServicingError
from twinroot.agent.states import ServicingType
from twinroot.agent.storage.added import with_added
from twinroot.agent.storage.deploy import deploy
from twinroot.agent.storage.deploy_plan import Deployment, ImageWrite, NewFilesystem, plan_deployment
from twinroot.agent.storage.devices import Devices
from twinroot.agent.storage.image_source import open_image
from twinroot.agent.stream import Written
from twinroot.config.host.storage import Storage
from twinroot.errors import CommandError, FormatError
from twinroot.formats import gpt
from twinroot.formats.cosi import model, writer
from twinroot.formats.source import FileRegion
from twinroot.tools.blkid import probe
from twinroot.tools.block_devices import verify_verity
from twinroot.tools.e2fsprogs import Location, superblock
from twinroot.units import LINUX_GENERIC, MIB

SIZES = {"root-a": 24, "root-b": 24, "usr-a": 16, "usr-b": 16, "usr-hash-a": 4, "usr-hash-b": 4, "data": 16, "swap": 8}


def storage() -> Storage:
    """Pairs of a root and of a `/usr` with verity, a new filesystem and swap."""
    kinds = {"usr-a": "usr", "usr-b": "usr", "usr-hash-a": "usr-verity", "usr-hash-b": "usr-verity", "swap": "swap"}
    partitions = [
        {"id": name, "size": f"{size}M", "type": kinds.get(name, "linux-generic")} for name, size in SIZES.items()
    ]
    pairs = [{"id": name, "volumeAId": f"{name}-a", "volumeBId": f"{name}-b"} for name in ("root", "usr", "usr-hash")]
    return Storage.model_validate(
        {
            "disks": [{"id": "os", "device": "/dev/vda", "partitionTableType": "gpt", "partitions": partitions}],
            "abUpdate": {"volumePairs": pairs},
            "verity": [{"id": "v", "name": "usr", "dataDeviceId": "usr", "hashDeviceId": "usr-hash"}],
            "filesystems": [
                {"deviceId": "root", "mountPoint": "/"},
                {"deviceId": "v", "mountPoint": {"path": "/usr", "options": "ro"}},
                {"deviceId": "data", "source": "new", "mountPoint": "/srv/data"},
            ],
            "swap": ["swap"],
        }
    )


def ext4(path: Path, size: int, tree: Path) -> Path:
    command = ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(path), f"{size // 1024}k"]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def cosi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of a root of 8 MiB and a `/usr` with a hash tree."""
    place = tmp_path_factory.mktemp("image")
    for name in ("root", "usr"):
        (place / name).mkdir()
    (place / "root/usr").mkdir()
    (place / "root/file").write_text("root")
    (place / "usr/file").write_text("usr" * 100_000)
    files = [ext4(place / "root.img", 8 * MIB, place / "root"), ext4(place / "usr.img", 8 * MIB, place / "usr")]
    command = ["veritysetup", "format", str(files[1]), str(place / "hash.img")]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    root_hash = next(line.split()[-1] for line in text.splitlines() if line.startswith("Root hash"))
    files.append(place / "hash.img")
    entries = [
        gpt.Partition(n, LINUX_GENERIC, UUID(int=n), n * 20480, n * 20480 + 16383, 0, f"p{n}") for n in (1, 2, 3)
    ]
    plan = writer.CosiPlan(
        image_id=UUID("5a2d4c0e-6b0e-4b7e-9f64-0b5d1c2e3f40"),
        os_arch="x86_64",
        os_release="ID=test\n",
        disk_size=64 * MIB,
        gpt=gpt.primary_bytes(gpt.Table(UUID(int=99), 64 * MIB, tuple(entries))),
        base="os",
        partitions=tuple(
            writer.PartitionImage(n, FileRegion(path, 0, path.stat().st_size)) for n, path in enumerate(files, 1)
        ),
        filesystems=(
            writer.FilesystemPlan(1, "/", "ext4", str(probe(files[0]).uuid), LINUX_GENERIC),
            writer.FilesystemPlan(
                2, "/usr", "ext4", str(probe(files[1]).uuid), LINUX_GENERIC, writer.VerityPlan(3, root_hash)
            ),
        ),
        packages=(),
        bootloader=model.Bootloader("grub"),
    )
    writer.write_cosi(place / "os.cosi", plan)
    return place / "os.cosi"


def devices_in(place: Path, volume: str = "volume-a") -> Devices:
    """Files for partitions, full of what was there before."""
    for name, size in SIZES.items():
        path = place / name
        if not path.exists():
            path.write_bytes(os.urandom(MIB) * size)
    paths = {name: str(place / name) for name in SIZES}
    return Devices(storage(), paths, "volume-b" if volume == "volume-b" else "volume-a")


def raid_superblock(sector: int) -> bytes:
    """One that says where it lies, with its checksum: the sum of its words (Linux, drivers/md/md.c)."""
    block = bytearray(struct.pack("<II136xQ", 0xA92B4EFC, 1, sector).ljust(512, b"\0"))
    struct.pack_into("<I", block, 0xDC, 128)  # how many roles follow, of two bytes each
    total = sum(struct.unpack("<128I", block))
    struct.pack_into("<I", block, 0xD8, (total & 0xFFFFFFFF) + (total >> 32))
    return bytes(block)


def test_an_installation_and_an_update(cosi: Path, tmp_path: Path) -> None:
    devices = devices_in(tmp_path)
    # The superblock of a RAID member lies at the end, behind what any image writes (md(4), format 1.0).
    sector = 24 * MIB // 512 - 16
    with (tmp_path / "root-a").open("r+b") as file:
        file.seek(sector * 512)
        file.write(raid_superblock(sector))
    assert probe(tmp_path / "root-a").type == "linux_raid_member"
    with open_image(str(cosi), "ignored") as image:
        plan = plan_deployment(devices, image.metadata, ServicingType.CLEAN_INSTALL)
        done = deploy(image, plan)
        assert done.written + done.kept == sum(each.image.uncompressed_size for each in plan.images)
        found = {name: probe(tmp_path / name).type for name in ("root-a", "data", "swap", "root-b")}
        assert found == {"root-a": "ext4", "data": "ext4", "swap": "swap", "root-b": None}
        assert superblock(Location(tmp_path / "root-a")).size == 24 * MIB
        command = ["wipefs", "--noheadings", "--output", "TYPE", str(tmp_path / "root-a")]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["ext4"]
        assert superblock(Location(tmp_path / "usr-a")).size == 8 * MIB  # what verity protects must stay as it is
        [verity] = plan.verity
        verify_verity(verity.data, verity.hashes, verity.root_hash)

        others = {name: (tmp_path / name).read_bytes() for name in SIZES if not name.endswith("-b")}
        update = plan_deployment(devices_in(tmp_path, "volume-b"), image.metadata, ServicingType.AB_UPDATE)
        deploy(image, update)
        assert deploy(image, replace_images(update)) == Written(0, 8 * MIB)
    assert {name: (tmp_path / name).read_bytes() for name in others} == others
    assert probe(tmp_path / "root-b").type == "ext4"
    with (tmp_path / "usr-b").open("r+b") as file:
        file.write(b"x" * 4096)
    with pytest.raises(CommandError):
        verify_verity(update.verity[0].data, update.verity[0].hashes, verity.root_hash)


def test_what_an_update_adds_outside_of_the_pairs(cosi: Path, tmp_path: Path) -> None:
    """Only on devices that hold nothing: what is there may be wanted."""
    devices = devices_in(tmp_path, "volume-b")
    with open_image(str(cosi), "ignored") as image:
        plan = plan_deployment(devices, image.metadata, ServicingType.AB_UPDATE)
    assert (plan.filesystems, plan.swaps) == ((), ())
    added = with_added(plan, devices, lambda path: probe(path).type)
    assert ([each.target.name for each in added.filesystems], [path.name for path in added.swaps]) == (
        ["data"],
        ["swap"],
    )
    with open_image(str(cosi), "ignored") as image:
        deploy(image, added)
    assert (probe(tmp_path / "data").type, probe(tmp_path / "swap").type) == ("ext4", "swap")
    assert with_added(plan, devices, lambda path: probe(path).type) == plan
    with pytest.raises(ServicingError, match="is to hold swap, and holds xfs"):
        with_added(plan, devices, lambda path: "ext4" if path.name == "data" else "xfs")


def replace_images(plan: Deployment) -> Deployment:
    """Only the images that nothing was done to after they were written."""
    kept = tuple(each for each in plan.images if not each.grow and each.image.uncompressed_size == 8 * MIB)
    return Deployment(kept, (), (), ())


def test_a_damaged_image_is_never_grown_and_nothing_is_made(cosi: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.cosi"
    data = bytearray(cosi.read_bytes())
    with open_image(str(cosi), "ignored") as image:
        member = image.member(image.metadata.images[1].image)
        data[member.data + member.size // 2] ^= 1
    damaged.write_bytes(data)
    devices = devices_in(tmp_path)
    with open_image(str(damaged), "ignored") as image:
        plan = plan_deployment(devices, image.metadata, ServicingType.CLEAN_INSTALL)
        with pytest.raises(FormatError):
            deploy(image, plan)
    assert superblock(Location(tmp_path / "root-a")).size == 8 * MIB
    assert probe(tmp_path / "data").type is None


def test_two_parts_for_one_device(cosi: Path, tmp_path: Path) -> None:
    devices_in(tmp_path)
    (tmp_path / "link").symlink_to("data")
    with open_image(str(cosi), "ignored") as image:
        write = ImageWrite(image.metadata.images[0].image, "a", tmp_path / "data", False)
        plan = Deployment((write,), (NewFilesystem("b", tmp_path / "link", "ext4"),), (), ())
        with pytest.raises(ServicingError, match="onto one device"):
            deploy(image, plan)


_MOUNT = """
from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.deploy_plan import MountStep
from twinroot.agent.storage.new_root import mounted_root
from twinroot.sandbox.paths import resolve_inside
place = Path(sys.argv[1])
pairs = zip(sys.argv[2::2], sys.argv[3::2])
steps = [MountStep(str(place / source), path, "ext4", "defaults") for source, path in pairs]
root = place / "newroot"
try:
    with mounted_root([*steps, MountStep("tmpfs", "/run", "tmpfs", "mode=0755")], root):
        mounts = [line.split()[4] for line in open("/proc/self/mountinfo")]
        found = sorted(target for target in mounts if str(place) in target)
        (resolve_inside(root, "/srv/data") / "new").write_text("kept")
except ServicingError as error:
    found = error.message
left = [line for line in open("/proc/self/mountinfo") if str(place) in line.split()[4]]
print(json.dumps([found, len(left)]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("link", ["", "/etc", "../../../../srv"])
def test_the_new_root_is_mounted_and_nothing_stays(tmp_path: Path, link: str) -> None:
    (tmp_path / "tree/run").mkdir(parents=True)
    (tmp_path / "tree/run/of-a-package").touch()  # Debian's packages leave files there, which no start sees
    if link:
        (tmp_path / "tree/srv").symlink_to(link)
    ext4(tmp_path / "root.img", 8 * MIB, tmp_path / "tree")
    (tmp_path / "empty").mkdir()
    ext4(tmp_path / "data.img", 8 * MIB, tmp_path / "empty")
    found, left = isolated(_MOUNT, tmp_path, "root.img", "/", "data.img", "/srv/data")
    root = tmp_path / "newroot"
    inside = {"": "srv/data", "/etc": "etc/data", "../../../../srv": None}[link]
    if inside is None:
        assert "loop of symbolic links" in found
    else:
        assert found == sorted([str(root), str(root / "run"), str(root / inside)])
        names = subprocess.run(["debugfs", "-R", "ls -p /", tmp_path / "data.img"], capture_output=True, check=True)
        assert b"/new/" in names.stdout
    assert left == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_point_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "tree/srv/data").mkdir(parents=True)
    (tmp_path / "tree/srv/data/file").touch()
    ext4(tmp_path / "root.img", 8 * MIB, tmp_path / "tree")
    ext4(tmp_path / "data.img", 8 * MIB, tmp_path / "tree")
    found, left = isolated(_MOUNT, tmp_path, "root.img", "/", "data.img", "/srv/data")
    assert "/srv/data of the new system is not empty" in found and left == 0
