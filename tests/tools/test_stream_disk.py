"""Whole images onto loop devices, and `trident stream-disk` as far as no disk of this machine is touched."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tools.daemon_place import Place, asked, place_in
from tests.unit.agent.disk_cosi import Part, write_disk_cosi
from tests.unit.agent.storage.range_server import RangeServer

from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.storage.disk_facts import disk_facts
from twinroot.agent.storage.whole_disk import WholeDisk, plan_whole_disk
from twinroot.agent.storage.whole_disk_write import write_whole_disk
from twinroot.errors import BusyError, FormatError
from twinroot.events import silent
from twinroot.formats.cosi.layout import disk_table, placed_images
from twinroot.formats.cosi.reader import open_cosi
from twinroot.output.unpack import unpack
from twinroot.units import MIB, TIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")

STREAM = "StreamingService/StreamDisk"
SIZE = 64 * MIB
HUGE = 2**20 * TIB


def filesystem(path: Path, *, size: int, shrunk: bool = True) -> bytes:
    """An ext4 filesystem of so many MiB, as small as it can be."""
    subprocess.run(["mke2fs", "-q", "-t", "ext4", path, f"{size}M"], check=True)
    if shrunk:
        subprocess.run(["resize2fs", "-M", path], check=True, capture_output=True)
    return path.read_bytes()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk with an ESP, a shrunken root, an empty half, and data that fill their partition."""
    esp = tmp_path / "esp"
    subprocess.run(["mkfs.vfat", "-C", esp, str(8 * 1024)], check=True, capture_output=True)
    return write_disk_cosi(
        tmp_path / "disk.cosi",
        Part(esp.read_bytes(), 8, "/boot/efi", "vfat"),
        Part(filesystem(tmp_path / "root", size=20), 20, "/"),
        Part(bytes(20 * MIB), 20),
        Part(os.urandom(MIB), 1),
        disk_size=SIZE,
    )


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Path]:
    """A disk that is larger than the image, full of old things."""
    disk = tmp_path / "disk"
    disk.write_bytes(b"old!" * (20 * MIB))
    device = subprocess.run(
        ["losetup", "--find", "--show", disk], capture_output=True, text=True, check=True
    ).stdout.strip()
    yield Path(device)
    subprocess.run(["partx", "--delete", device], check=False, capture_output=True)
    subprocess.run(["losetup", "--detach", device], check=True)


def stream(cosi: Path, device: Path) -> None:
    with open_cosi(cosi) as file:
        write_whole_disk(file, planned(cosi, device))


def planned(cosi: Path, device: Path) -> WholeDisk:
    with open_cosi(cosi) as file:
        table = disk_table(file)
        return plan_whole_disk(disk_facts(device), table, placed_images(file, table), file.metadata, frozenset())


def output(*argv: object) -> str:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True).stdout


def table(disk: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output("sfdisk", "--json", disk))["partitiontable"]
    return found


def partition(device: Path, number: int) -> Path:
    return Path(f"{device}p{number}")


def test_a_disk_becomes_the_one_of_the_image(image: Path, loop: Path, tmp_path: Path) -> None:
    stream(image, loop)
    unpack(image, tmp_path / "raw", tmp_path, silent)
    expected, found = table(tmp_path / "raw"), table(loop)
    assert found["id"] == expected["id"] and found["lastlba"] == 80 * MIB // 512 - 34
    for key in ("start", "size", "type", "uuid", "name"):
        assert [each.get(key) for each in found["partitions"]] == [each.get(key) for each in expected["partitions"]]
    assert "No errors detected" in output("sfdisk", "--verify", loop)
    raw = (tmp_path / "raw").read_bytes()
    for number in (1, 3, 4):
        start, size = (found["partitions"][number - 1][key] * 512 for key in ("start", "size"))
        assert partition(loop, number).read_bytes() == raw[start : start + size], number
    # The root has grown.
    root = partition(loop, 2)
    output("e2fsck", "-f", "-n", root)
    assert f"Block count:              {20 * MIB // 1024}" in output("dumpe2fs", "-h", root)


def test_old_arrays_and_partitions_are_forgotten(image: Path, loop: Path) -> None:
    subprocess.run(["sfdisk", "--quiet", loop], input="label: gpt\nsize=30M\nsize=30M\n", text=True, check=True)
    subprocess.run(["partx", "--update", loop], check=True)
    # What a member of an array is recognised by (mdadm's format 1.0, 8 KiB before the end) where a new partition ends.
    magic, end = (0xA92B4EFC).to_bytes(4, "little"), 29 * MIB
    with loop.open("r+b") as disk:
        disk.seek(end - 8192)
        disk.write(magic + (1).to_bytes(4, "little"))
    stream(image, loop)
    assert output("blkid", "--probe", "--match-tag", "TYPE", "--output", "value", partition(loop, 2)) == "ext4\n"
    assert sorted(loop.parent.glob(f"{loop.name}p*")) == [partition(loop, number) for number in (1, 2, 3, 4)]
    stream(image, loop)  # over itself


def test_a_disk_in_use_stays_as_it_is(image: Path, loop: Path, tmp_path: Path) -> None:
    stream(image, loop)
    before = loop.read_bytes()
    plan = planned(image, loop)
    target = tmp_path / "mount"
    target.mkdir()
    subprocess.run(["mount", "-o", "ro", partition(loop, 2), target], check=True)
    try:
        assert [use.what for use in disk_facts(loop).uses] == [f"mounted at {target}"]
        with open_cosi(image) as file, pytest.raises(BusyError):
            write_whole_disk(file, plan)
    finally:
        subprocess.run(["umount", target], check=True)
    assert loop.read_bytes() == before


def test_a_damaged_image_leaves_nothing_that_starts(image: Path, loop: Path) -> None:
    stream(image, loop)
    with open_cosi(image) as file:
        place = max(file.members.values(), key=lambda member: member.size)
    with image.open("r+b") as damaged:
        damaged.seek(place.data + place.size - 1000)
        byte = damaged.read(1)
        damaged.seek(-1, os.SEEK_CUR)
        damaged.write(bytes([byte[0] ^ 1]))
    with pytest.raises(FormatError):
        stream(image, loop)
    assert disk_facts(loop).table is None
    assert output("wipefs", "--noheadings", loop) == ""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path) as found:
        yield found


def trident(place: Place, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Only with images that fit onto no disk: this machine may have one that is free."""
    argv = place.command("-v", "info", "stream-disk", *words)
    return subprocess.run(argv, env=place.environment(), input=stdin, capture_output=True, text=True, check=False)


def test_the_command(place: Place) -> None:
    huge = write_disk_cosi(place.folder / "huge.cosi", Part(b"x", 1, "/boot/efi", "vfat"), disk_size=HUGE)
    done = trident(place, str(huge), "-e", f"{place.folder}/error.yaml")
    if "runs from its disk" in done.stderr:
        pytest.skip("this machine runs from its disk")
    assert done.returncode == 2
    assert "the image was not written: no disk is right for this image" in done.stderr
    assert "error: no-suitable-disk\n" in (place.folder / "error.yaml").read_text()
    # A path on standard input, as the daemon has it.
    done = trident(place, "-", "--hash", "sha384:" + "0" * 96, stdin=f"{huge}\n")
    assert (done.returncode, f"{huge}: the SHA-384 of the metadata is" in done.stderr) == (2, True)
    done = trident(place, str(huge), "--disk", "/dev/null")
    assert (done.returncode, "/dev/null is not a disk" in done.stderr) == (2, True)
    arm = write_disk_cosi(
        place.folder / "arm.cosi", Part(b"x", 1, "/boot/efi", "vfat"), disk_size=HUGE, os_arch="arm64"
    )
    assert "the image is for arm64, this machine is" in trident(place, str(arm)).stderr
    assert place.restarts == []


def test_the_daemon(place: Place) -> None:
    place.start()
    missing = v1.StreamDiskRequest(image_url=f"file://{place.folder}/none.cosi", image_hash="sha256:00")
    error = asked(place.socket, STREAM, missing)[-1].completed.error
    assert (error.kind, error.subkind) == (v1.INVALID_INPUT_ERROR, "unsupported-hash-kind")
    done = place.client("stream-disk", f"{place.folder}/none.cosi")
    assert (done.returncode, "the image was not written: " in done.stderr) == (2, True)
    with RangeServer(b"").running() as server:
        url = f"{server.url}/none".replace("http://", "http://user:hidden@")
        assert place.client("stream-disk", url).returncode == 2
    assert server.url in place.log() and "hidden" not in place.log()
    assert place.restarts == []
