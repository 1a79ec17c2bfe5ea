"""Whole images onto loop devices, and `trident stream-disk` as far as no disk of this machine is touched."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.tools.daemon_place import Place, asked, place_in
from tests.unit.agent.disk_cosi import Part, write_disk_cosi
from tests.unit.agent.storage.range_server import RangeServer

from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.remote.report import read_report
from twinroot.agent.states import ServicingType
from twinroot.agent.storage import claims
from twinroot.agent.storage.disk_facts import candidates, disk_facts
from twinroot.agent.storage.whole_disk import WholeDisk, choose_disk, plan_whole_disk
from twinroot.agent.storage.whole_disk_write import write_whole_disk
from twinroot.errors import BusyError, CommandError, FormatError, HostError
from twinroot.events import silent
from twinroot.formats.cosi.layout import disk_table, placed_images
from twinroot.formats.cosi.reader import open_cosi
from twinroot.output.unpack import unpack
from twinroot.tools import fat
from twinroot.units import MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")

STREAM = "StreamingService/StreamDisk"
SIZE = 64 * MIB
_BLKRRPART = 0x125F  # linux/fs.h


def filesystem(path: Path, *, size: int, shrunk: bool = True) -> bytes:
    """An ext4 filesystem of so many MiB, as small as it can be."""
    subprocess.run(["mke2fs", "-q", "-t", "ext4", path, f"{size}M"], check=True)
    if shrunk:
        subprocess.run(["resize2fs", "-M", path], check=True, capture_output=True)
    return path.read_bytes()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk with an ESP, a shrunken root, an empty half, and data that fill their partition."""
    esp, loader = tmp_path / "esp", tmp_path / "files/EFI/BOOT/BOOTX64.EFI"
    loader.parent.mkdir(parents=True)
    loader.touch()
    fat.make(esp, 8 * MIB, volume_id="1234-ABCD", tree=tmp_path / "files")
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
    with attached(disk) as device:
        yield device


@contextmanager
def attached(file: Path) -> Iterator[Path]:
    """A loop device of a file, with partitions."""
    device = Path(output("losetup", "--find", "--show", "--partscan", file).strip())
    try:
        yield device
    finally:
        subprocess.run(["partx", "--delete", device], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", device], check=True)


def stream(cosi: Path, device: Path) -> None:
    with open_cosi(cosi) as file:
        write_whole_disk(file, planned(cosi, device))


def planned(cosi: Path, device: Path) -> WholeDisk:
    with open_cosi(cosi) as file:
        table = disk_table(file)
        images = placed_images(file, table)
        return plan_whole_disk(disk_facts(device), table, images, file.metadata, frozenset(), efi=False)


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
    # Of what is empty the disk keeps nothing: it was not sent zeros, but asked for them.
    assert (tmp_path / "disk").stat().st_blocks * 512 < (80 - 20 + 1) * MIB
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


@contextmanager
def mounted(device: Path, target: Path) -> Iterator[None]:
    target.mkdir()
    subprocess.run(["mount", "-o", "ro", device, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


def test_a_disk_in_use_stays_as_it_is(image: Path, loop: Path, tmp_path: Path) -> None:
    stream(image, loop)
    before = loop.read_bytes()
    plan = planned(image, loop)
    assert disk_facts(loop).uses == ()
    # Whoever reads a partition does not claim it, and keeps the kernel from forgetting it.
    with partition(loop, 2).open("rb"), open_cosi(image) as file, pytest.raises(CommandError):
        write_whole_disk(file, plan)
    # The last thing, as a copy of the mount may live on in a namespace that another test has made meanwhile.
    with mounted(partition(loop, 2), tmp_path / "mount"):
        assert [use.what for use in disk_facts(loop).uses] == [f"mounted at {tmp_path}/mount"]
        with open_cosi(image) as file, pytest.raises(BusyError):
            write_whole_disk(file, plan)
        assert loop.read_bytes() == before


def test_disks_in_use_that_nothing_is_mounted_from(image: Path, loop: Path, tmp_path: Path) -> None:
    stream(image, loop)
    with attached(partition(loop, 2)) as other:
        assert [(use.number, use.what) for use in disk_facts(loop).uses] == [(2, f"used through {other.name}")]
    # As a member of a file system of several disks has it.
    descriptor = os.open(partition(loop, 2), os.O_RDONLY | os.O_EXCL)
    try:
        [use] = disk_facts(loop).uses
        assert (use.number, use.what.startswith("used by the kernel")) == (2, True)
    finally:
        os.close(descriptor)


def test_disks_to_choose_from(image: Path, loop: Path) -> None:
    stream(image, loop)
    [found] = candidates(re.compile(loop.name))
    assert (found.facts.device, found.facts.size, found.removable, found.fault) == (str(loop), 80 * MIB, False, None)
    assert found.facts.table and len(found.facts.table.partitions) == 4
    assert [choose_disk([found], found.facts.table).device] == [str(loop)]


def test_a_disk_whose_partitions_go_meanwhile_is_in_doubt(
    image: Path, loop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(image, loop)

    def gone(device: Path) -> AbstractContextManager[None]:
        subprocess.run(["partx", "--delete", loop], check=False, capture_output=True)
        return claims.claimed(device)

    monkeypatch.setattr("twinroot.agent.storage.disk_facts.claimed", gone)
    [found] = candidates(re.compile(loop.name))
    assert found.unsettled and found.fault == "its partitions changed while they were looked at"


def test_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(MIB))
    with attached(tmp_path / "short") as device:
        os.truncate(tmp_path / "short", 0)
        [found] = candidates(re.compile(device.name))
        assert found.fault and "cannot be read" in found.fault
        with pytest.raises(HostError, match="the disk cannot be read"):
            disk_facts(device)


@contextmanager
def udev(disk: Path) -> Iterator[None]:
    """It has the kernel read the table of each disk that was written, unless somebody holds its lock."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            descriptor = os.open(disk, os.O_RDONLY)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.ioctl(descriptor, _BLKRRPART)
            os.close(descriptor)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_udev_looks_at_the_disk_all_the_time(image: Path, loop: Path) -> None:
    with udev(loop):
        for _time in range(3):
            stream(image, loop)
        for _time in range(100):
            subprocess.run(["partx", "--update", loop], check=False, capture_output=True)
            assert disk_facts(loop).uses == ()
    subprocess.run(["partx", "--update", loop], check=True)  # for kernels that cannot read such a table by themselves
    assert "No errors detected" in output("sfdisk", "--verify", loop)
    output("e2fsck", "-f", "-n", partition(loop, 2))


def test_a_disk_that_another_program_has_locked(loop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PATIENCE", 0.3)
    with loop.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another program has locked the disk"):
            disk_facts(loop)
        [found] = candidates(re.compile(loop.name))
        assert found.unsettled
        fcntl.flock(other, fcntl.LOCK_SH)  # as udev does when it only looks
        assert disk_facts(loop).uses == ()


def test_a_system_that_does_not_see_the_partitions_yet(
    image: Path, loop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is complete then, and nobody is to begin anew."""
    tool = tmp_path / "tools/udevadm"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{tool.parent}:/usr/sbin:/usr/bin:/sbin:/bin")
    stream(image, loop)
    assert "The disk is complete" in caplog.text
    assert "No errors detected" in output("sfdisk", "--verify", loop)


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
    assert not list(loop.parent.glob(f"{loop.name}p*"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path) as found:
        yield found


def trident(place: Place, *words: str, cover: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a namespace in which something of the kernel's is covered, as if an installer ran."""
    before = ["sh", "-c", f'{cover} && exec "$@"', "sh"]
    argv = place.command("-v", "info", "stream-disk", *words, before=before)
    return subprocess.run(argv, env=place.environment(), input=stdin, capture_output=True, text=True, check=False)


NO_DISKS = "mount -t tmpfs none /sys/block"
"""Lest a disk of this machine is chosen, should it be one that runs from memory."""


@pytest.fixture
def installer(place: Place) -> str:
    """Covers the command line of the kernel with that of an installer."""
    (place.folder / "cmdline").write_text("console=ttyS0\n")
    return f"mount --bind {place.folder}/cmdline /proc/cmdline"


def test_the_command(place: Place, image: Path, loop: Path, installer: str) -> None:
    report = place.folder / "report.json"
    words = ["--disk", str(loop), "--on-behalf", str(report)]
    done = trident(place, "-", *words, cover=installer, stdin=f"{image}\n")
    assert done.returncode == 0, done.stderr
    found = read_report(report.read_text())
    assert found and (found.restart, found.kind, found.error) == (True, ServicingType.CLEAN_INSTALL, None)
    with open_cosi(image) as file:
        assert found.image_sha384 == file.metadata_sha384
    assert "No errors detected" in output("sfdisk", "--verify", loop)
    assert place.restarts == []  # which is for whoever asked


def test_what_the_command_refuses(place: Place, image: Path, installer: str) -> None:
    def refused(*words: str, stdin: str = "") -> str:
        cover = f"{installer} && {NO_DISKS}"
        done = trident(place, *words, "-e", f"{place.folder}/error.yaml", cover=cover, stdin=stdin)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        return done.stderr

    chosen = refused(str(image))
    assert "no disk is chosen by itself, as this system does not run from memory" in chosen or "no disk is" in chosen
    assert "\ncategory: " in (place.folder / "error.yaml").read_text()
    named = ("--disk", "/dev/null")
    wrong = refused(str(image), *named, "--hash", "sha384:" + "0" * 96)
    assert f"{image}: the SHA-384 of the metadata is" in wrong
    assert "/dev/null is not a disk" in refused(str(image), *named)
    esp = Part(b"x", 1, "/boot/efi", "vfat")
    arm = write_disk_cosi(place.folder / "arm.cosi", esp, disk_size=SIZE, os_arch="arm64")
    assert "the image is for arm64, this machine is" in refused(str(arm), *named)
    assert "no image is named" in refused("-", *named)
    assert "cannot be seen" in refused("a\x01b", *named)
    assert place.restarts == []


def test_a_system_that_runs_from_its_disk(place: Place, image: Path) -> None:
    (place.folder / "cmdline").write_text("root=UUID=1 quiet\n")
    cover = f"mount --bind {place.folder}/cmdline /proc/cmdline && {NO_DISKS}"
    assert "runs from its disk" in trident(place, str(image), cover=cover).stderr


def test_the_daemon(place: Place) -> None:
    place.start()
    missing = v1.StreamDiskRequest(image_url=f"file://{place.folder}/none.cosi", image_hash="sha256:00")
    error = asked(place.socket, STREAM, missing)[-1].completed.error
    assert (error.kind, error.subkind) == (v1.INVALID_INPUT_ERROR, "unsupported-hash-kind")
    with RangeServer(b"").running() as server:
        url = f"{server.url}/none".replace("http://", "http://user:hidden@")
        done = place.client("stream-disk", url)
    assert (done.returncode, "the image was not written: " in done.stderr) == (2, True)
    assert "hidden" not in place.log()
    assert place.restarts == []
