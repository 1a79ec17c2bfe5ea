"""Converting real small images in every direction: nothing is lost, and nothing appears that is not complete."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.images import Finished, command
from tests.images.synthetic import ESP_TYPE, MIB, Part, make_disk, small_base

from twinroot.base.facts import list_filesystems
from twinroot.base.image import open_raw, probe
from twinroot.errors import FormatError, InputError
from twinroot.events import silent
from twinroot.formats import gpt
from twinroot.formats.cosi.check import verify_cosi
from twinroot.formats.cosi.reader import open_cosi
from twinroot.output.bootable import bootable_disk
from twinroot.output.convert import Conversion, convert
from twinroot.output.disk import DISK_FORMATS
from twinroot.tools import e2fsprogs, fat
from twinroot.tools.e2fsprogs import Location
from twinroot.tools.run import run

IMAGE_ID = "01234567-89ab-4cde-8f01-23456789abcd"
STATUS = "Package: grub-efi-amd64\nStatus: install ok installed\nVersion: 2.06-13\nArchitecture: amd64\n\n"
DATA = bytes(range(256)) * 8192


# Kills itself in the middle of writing the COSI file.
KILLED = """
import os, signal, sys
from pathlib import Path
from twinroot.output.convert import Conversion, convert
def emit(event):
    if any(path.name.endswith(".partial") for path in target.parent.iterdir()):
        os.kill(os.getpid(), signal.SIGKILL)
target = Path(sys.argv[2])
(Path(sys.argv[3]) / "s").mkdir()
convert(Conversion(Path(sys.argv[1]), target, "cosi", 3), Path(sys.argv[3]) / "s", emit)
"""


def edit(root: Path) -> None:
    status = root / "var/lib/dpkg/status"
    status.write_text(STATUS + status.read_text())
    (root / "etc/image-customizer-release").write_text(f'TOOL_VERSION="1"\nIMAGE_UUID="{IMAGE_ID}"\n')
    (root / "etc/fstab").write_text(
        (root / "etc/fstab").read_text() + "overlay /etc overlay lowerdir=/etc 0 0\nUUID=x none swap sw 0 0\n"
    )
    (root / "usr/share/big").parent.mkdir(parents=True, exist_ok=True)
    (root / "usr/share/big").write_bytes(os.urandom(3 * MIB))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ESP, root, a partition of plain data, an empty one."""
    extra = [Part(4, data=DATA, name="data"), Part(4, name="empty")]
    return small_base(tmp_path_factory.mktemp("base") / "base.raw", edit, extra=extra)


@pytest.fixture(scope="module")
def cosi(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cosi")
    return converted(base, directory / "image.cosi", "cosi", directory)


def converted(source: Path, target: Path, target_format: str, scratch: Path, level: int = 3) -> Path:
    work = scratch / f"scratch-{target.name}"
    work.mkdir()
    convert(Conversion(source, target, target_format, level), work, silent)
    return target


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(raw: Path, scratch: Path) -> dict[str, object]:
    """Everything that a disk holds: the partitions of its table, the files in its filesystems, other bytes."""
    table = open_raw(probe(raw), scratch).table
    found: dict[str, object] = {"id": table.disk_uuid, "partitions": table.partitions}
    for filesystem in list_filesystems(open_raw(probe(raw), scratch), str(raw)):
        tree = scratch / f"tree-{raw.name}-{filesystem.partition.number}"
        name = f"{filesystem.partition.number} {filesystem.type} {filesystem.uuid} {filesystem.label}"
        if filesystem.type == "ext4":
            at = Location(raw, filesystem.offset)
            e2fsprogs.check(at)
            assert e2fsprogs.superblock(at).size == filesystem.size
            e2fsprogs.copy_tree(at, "/", tree)
            found[name] = files(tree)
        elif filesystem.type == "vfat":
            fat.extract(raw, filesystem.offset, tree)
            found[name] = files(tree)
        else:
            with raw.open("rb") as file:
                file.seek(filesystem.offset)
                found[name] = file.read(filesystem.size)
    return found


def files(tree: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        found[name] = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else "directory"
    return found


def test_disk_to_cosi(base: Path, cosi: Path) -> None:
    report = verify_cosi(cosi)
    assert report.findings == ()
    metadata = report.metadata
    assert metadata is not None
    assert str(metadata.id) == IMAGE_ID
    assert metadata.os_arch == "x86_64"
    assert [(f.mount_point, f.fs_type) for f in metadata.images] == [("/", "ext4"), ("/boot/efi", "vfat")]
    assert [package.name for package in metadata.packages or ()] == ["base-files", "grub-efi-amd64"]
    sizes = {region.number: region.image.uncompressed_size for region in metadata.partition_regions()}
    assert sizes[1] == 8 * MIB
    assert 3 * MIB < sizes[2] < 40 * MIB
    assert (sizes[3], sizes[4]) == (4 * MIB, 4 * MIB)


def test_round_trip_keeps_everything(base: Path, cosi: Path, tmp_path: Path) -> None:
    before = digest(base)
    raw = converted(cosi, tmp_path / "back.raw", "raw", tmp_path)
    assert raw.stat().st_size == base.stat().st_size
    assert contents(raw, tmp_path) == contents(base, tmp_path)
    assert "No errors detected" in run(["sfdisk", "--verify", raw]).stdout
    with raw.open("rb") as file:
        primary = gpt.read_table(file, raw.stat().st_size)
        file.seek(0)
        damaged = file.read(512) + bytes(512)
        file.seek(1024)
        rest = damaged + file.read()
    assert gpt.read_table(io.BytesIO(rest), len(rest)) == primary, "the backup table is the same"
    assert digest(base) == before
    assert raw.stat().st_blocks * 512 < raw.stat().st_size - 30 * MIB, "holes stay holes"


@pytest.mark.parametrize("disk_format", DISK_FORMATS)
def test_every_format_to_cosi_and_back(base: Path, cosi: Path, tmp_path: Path, disk_format: str) -> None:
    disk = converted(base, tmp_path / "disk", disk_format, tmp_path)
    assert probe(disk).format == disk_format
    assert probe(disk).size == base.stat().st_size
    again = converted(disk, tmp_path / "again.cosi", "cosi", tmp_path)
    assert verify_cosi(again).ok
    other = converted(again, tmp_path / "other", disk_format, tmp_path)
    assert probe(other).format == disk_format
    raw = converted(other, tmp_path / "other.raw", "raw", tmp_path)
    assert contents(raw, tmp_path) == contents(base, tmp_path)


def test_cosi_to_cosi_keeps_contents_and_id(cosi: Path, tmp_path: Path) -> None:
    other = converted(cosi, tmp_path / "other.cosi", "cosi", tmp_path, level=1)
    assert verify_cosi(other).findings == ()
    with open_cosi(cosi) as before, open_cosi(other) as after:
        assert after.metadata.id == before.metadata.id
        assert after.metadata.packages == before.metadata.packages
        assert [f.mount_point for f in after.metadata.images] == [f.mount_point for f in before.metadata.images]
        images = zip(before.metadata.image_files().values(), after.metadata.image_files().values(), strict=True)
        for left, right in images:
            assert before.read(left, 128 * MIB) == after.read(right, 128 * MIB)
            assert right.path.startswith("images/other_")


def test_an_image_without_an_id_gets_one(tmp_path: Path) -> None:
    def no_id(root: Path) -> None:
        edit(root)
        (root / "etc/image-customizer-release").unlink()

    base = small_base(tmp_path / "base.raw", no_id)
    ids = set()
    for name in ("one.cosi", "two.cosi"):
        with open_cosi(converted(base, tmp_path / name, "cosi", tmp_path)) as cosi:
            ids.add(cosi.metadata.id)
    assert len(ids) == 2
    assert None not in ids


def test_a_filesystem_smaller_than_its_partition_is_not_resized(tmp_path: Path) -> None:
    base = small_base(tmp_path / "base.raw", edit)
    disk = open_raw(probe(base), tmp_path)
    root = disk.table.partition(2)
    image = tmp_path / "root.img"
    image.write_bytes(base.read_bytes()[disk.table.offset(root) :][: disk.table.size(root)])
    run(["e2fsck", "-f", "-y", image], ok=(0, 1))
    run(["resize2fs", image, "40M"])
    with base.open("r+b") as file:
        file.seek(disk.table.offset(root))
        file.write(image.read_bytes()[: 40 * MIB])
    cosi = converted(base, tmp_path / "out.cosi", "cosi", tmp_path)
    raw = converted(cosi, tmp_path / "out.raw", "raw", tmp_path)
    with open_cosi(cosi) as opened:
        assert opened.metadata.partition_regions()[1].image.uncompressed_size == 64 * MIB
    assert e2fsprogs.superblock(Location(raw, disk.table.offset(root))).size == 40 * MIB


def test_bootable_disk(base: Path, cosi: Path, tmp_path: Path) -> None:
    assert bootable_disk(base, tmp_path, silent).path == base
    disk = bootable_disk(cosi, tmp_path, silent)
    assert (disk.format, disk.size, disk.path.stat().st_size) == ("raw", base.stat().st_size, base.stat().st_size)


@pytest.mark.parametrize(
    ("name", "message"), [("text.raw", "no disk image"), ("cut.raw", "cut off"), ("none", "not exist")]
)
def test_what_no_machine_can_start_from(place: Path, name: str, message: str) -> None:
    with pytest.raises((InputError, FormatError), match=message):
        bootable_disk(place / name, place, silent)


def twinroot(*arguments: object, cwd: Path) -> Finished:
    return command("main", *arguments, cwd=cwd, env={"TMPDIR": str(cwd)})


@pytest.fixture
def place(tmp_path: Path, base: Path, cosi: Path) -> Path:
    """Wrong inputs of every kind."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "base.raw").symlink_to(base)
    (place / "image.cosi").symlink_to(cosi)
    (place / "empty.raw").touch()
    (place / "text.raw").write_text("this is no image\n" * 100)
    (place / "blank.raw").write_bytes(bytes(4 * MIB))
    (place / "cut.raw").write_bytes(base.read_bytes()[: 20 * MIB])
    (place / "cut.cosi").write_bytes(cosi.read_bytes()[: cosi.stat().st_size // 2])
    (place / "text.cosi").write_text("this is no image\n" * 100)
    data = bytearray(cosi.read_bytes())
    data[len(data) // 2] ^= 1
    (place / "flipped.cosi").write_bytes(data)
    old_revision(cosi, place / "old.cosi")
    return place


def old_revision(cosi: Path, target: Path) -> None:
    """The same filesystems in a file of revision 1.1, which has no partition table."""
    with open_cosi(cosi) as opened, tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        member = opened.members["metadata.json"]
        document = json.loads(opened.read_at(member.data, member.size))
        for key in ("disk", "compression", "integrity"):
            document.pop(key)
        text = json.dumps(document | {"version": "1.1"}).encode()
        parts = {"metadata.json": text}
        for filesystem in opened.metadata.images:
            parts[filesystem.image.path] = b"".join(opened.open_image(filesystem.image))
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


REFUSED = [
    (("missing.raw", "out.cosi"), "does not exist"),
    (("missing.cosi", "out.raw"), "does not exist"),
    ((".", "out.raw"), "not a file"),
    (("empty.raw", "out.cosi"), "empty"),
    (("empty.raw", "out.qcow2"), "empty"),
    (("text.raw", "out.cosi"), "partition table"),
    (("text.raw", "out.qcow2"), "no disk image"),
    (("text.cosi", "out.raw"), "is it a COSI file"),
    (("blank.raw", "out.cosi"), "partition table"),
    (("cut.raw", "out.cosi"), "cut off"),
    (("cut.raw", "out.vhdx"), "cut off"),
    (("cut.cosi", "out.raw"), "cut off"),
    (("flipped.cosi", "out.raw"), "flipped.cosi"),
    (("flipped.cosi", "out.qcow2"), "flipped.cosi"),
    (("flipped.cosi", "out.cosi"), "flipped.cosi"),
    (("old.cosi", "out.raw"), "1.1"),
    (("old.cosi", "out.cosi"), "1.1"),
    (("base.raw", "nowhere/out.cosi"), "nowhere does not exist"),
    (("base.raw", "base.raw"), "the output is one of the input files"),
    (("base.raw", ".", "--format", "raw"), "directory"),
    (("base.raw", "out.iso", "--format", "iso"), "not built yet"),
]
WRONG_COMMAND_LINES = [
    (("base.raw", "out.bin"), "no output format"),
    (("base.raw", "out.bin", "--format", "vmdk"), "not known"),
    (("base.raw", "out.raw", "--cosi-compression-level", "3"), "only for the output format cosi"),
    (("base.raw", "out.cosi", "--cosi-compression-level", "23"), "1 to 22"),
    (("base.raw",), "no output is given"),
    ((), "no image is given"),
    (("base.raw", "out.raw", "more"), "too many files"),
]


@pytest.mark.parametrize(
    ("arguments", "expected", "code"),
    [(*row, 1) for row in REFUSED] + [(*row, 2) for row in WRONG_COMMAND_LINES],
    ids=[" ".join(arguments) or "nothing" for arguments, _ in REFUSED + WRONG_COMMAND_LINES],
)
def test_refused(place: Path, arguments: tuple[str, ...], expected: str, code: int) -> None:
    before = {path.name for path in place.iterdir()}
    done = twinroot("convert", *arguments, cwd=place)
    assert done.code == code
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in place.iterdir()} == before, "nothing is left behind"


def test_a_disk_larger_than_its_format_allows_is_not_called_damaged(tmp_path: Path) -> None:
    large = make_disk(tmp_path / "large.raw", [Part(1)])
    os.truncate(large, 2041 << 30)
    with pytest.raises(InputError, match=r"the disk has 2041 GiB; one of format vhd has at most 2040 GiB"):
        convert(Conversion(large, tmp_path / "out.vhd", "vhd", 3), tmp_path, silent)
    assert not (tmp_path / "out.vhd").exists()


def test_no_efi_system_partition_but_no_operating_system_either(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk.raw", [Part(8, ESP_TYPE)])
    done = twinroot("convert", disk, tmp_path / "out.cosi", cwd=tmp_path)
    assert done.code == 1
    assert "/etc/fstab" in done.stderr


def test_command_line_of_the_peer(base: Path, tmp_path: Path) -> None:
    flags = ["--image-file", base, "--output-image-file", tmp_path / "out", "--output-image-format"]
    refused = command("imagecustomizer", "convert", *flags, "cosi", cwd=tmp_path)
    assert refused.code == 1
    assert "image conversion failed: " in refused.stderr and "--build-dir" in refused.stderr
    for wanted, build in (("qcow2", []), ("cosi", ["--build-dir", tmp_path / "build"])):
        done = command("imagecustomizer", "--log-level", "debug", "convert", *flags, wanted, *build, cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert done.stderr.rstrip().endswith("Success!")
    assert verify_cosi(tmp_path / "out").ok
    assert not any((tmp_path / "build").rglob("*.raw"))
    assert command("imagecustomizer", "convert", *flags[:4], cwd=tmp_path).code == 80


def test_what_a_killed_conversion_to_cosi_left_is_removed(base: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        argv = [sys.executable, "-c", KILLED, str(base), str(tmp_path / "out.cosi"), str(tmp_path)]
        code = subprocess.run(argv, stderr=log, check=False, env=os.environ | {"PYTHONPATH": ":".join(sys.path)})
    assert code.returncode == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")]
    converted(base, tmp_path / "out.cosi", "cosi", tmp_path)
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")]


def test_an_output_that_is_there_is_replaced(base: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.qcow2"
    target.write_text("old")
    assert twinroot("convert", base, target, cwd=tmp_path).code == 0
    assert probe(target).format == "qcow2"
    assert [path.name for path in tmp_path.iterdir()] == ["out.qcow2"]
