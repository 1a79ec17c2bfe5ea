"""`diff` on real small images of every format: what counts, what does not, and its exit codes."""

from __future__ import annotations

import json
import os
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.images import Finished, command
from tests.images.synthetic import MIB, Part, small_base
from tests.tools.test_convert import converted, edit
from tests.unit.formats.small_file import rewritten

from twinroot.formats.ext4.checksum import crc32c
from twinroot.tools.run import run

ROOT_OFFSET = 9 * MIB
ESP_OFFSET = MIB


def open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def diff(*arguments: object) -> Finished:
    return command("main", "diff", *arguments)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_base(tmp_path_factory.mktemp("base") / "base.raw", edit, extra=[Part(4, name="spare")])


def changed(base: Path, target: Path, *commands: str) -> Path:
    """A copy of an image with debugfs commands carried out in its root filesystem."""
    run(["cp", "--sparse=always", base, target])
    for text in commands:
        run(["debugfs", "-w", "-R", text, f"{target}?offset={ROOT_OFFSET}"])
    return target


def differences(one: Path, other: Path, *flags: str) -> dict[str, Any]:
    done = diff(one, other, "--json", *flags)
    assert done.code in (0, 1), done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    assert done.code == (0 if found["equal"] else 1)
    return found


def files(found: dict[str, Any], number: int = 2) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for p in found["partitions"] if p["number"] == number for file in p["files"]}


@pytest.mark.parametrize("image_format", ["raw", "qcow2", "vhd", "vhd-fixed", "vhdx", "cosi"])
def test_how_an_image_is_stored_does_not_count(image_format: str, base: Path, tmp_path: Path) -> None:
    other = converted(base, tmp_path / "other", image_format, tmp_path)
    done = diff(base, other)
    assert (done.code, done.stdout.splitlines()[-1]) == (0, "equal"), done.stdout + done.stderr


def test_other_metadata_of_the_same_disk(base: Path, tmp_path: Path) -> None:
    one, other = converted(base, tmp_path / "one.cosi", "cosi", tmp_path), tmp_path / "other.cosi"
    other.write_bytes(rewritten(one.read_bytes(), lambda document: document["images"][0].update(mountPoint="/srv")))
    found = differences(one, other)
    assert found["metadata"] == [{"name": "partition 2 mount point", "before": "/", "after": "/srv"}]
    assert not found["equal"] and found["partitions"] == []
    assert differences(one, one)["metadata"] == []


def test_changed_files(base: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("new\n")
    other = changed(
        base, tmp_path / "other.raw", f"write {tmp_path / 'text'} /etc/new", "rm /etc/hostname",
        "set_inode_field /etc/fstab mode 0100600", "set_inode_field /etc/fstab uid 7",
        "set_inode_field /etc/os-release mtime @5", "symlink /etc/link to", "ea_set /etc/fstab user.x y",
    )  # fmt: skip
    found = files(differences(base, other))
    assert found["/etc/new"]["change"] == "added"
    assert found["/etc/new"]["sha256"]["after"] == "7aa7a5359173d05b63cfd682e3c38487f3cb4f7f1d60659fe59fab1505977d4c"
    assert found["/etc/hostname"]["change"] == "removed"
    assert {field["name"]: field["after"] for field in found["/etc/fstab"]["fields"]} == {
        "mode": "0600", "owner": "7:0", "attribute user.x": "79",
    }  # fmt: skip
    assert {"name": "target", "before": None, "after": "to"} in found["/etc/link"]["fields"]
    assert "/etc/os-release" not in found
    assert "/etc/os-release" in files(differences(base, other, "--times"))


def test_first_byte_of_changed_content(base: Path, tmp_path: Path) -> None:
    for name, letter in (("one", "a"), ("other", "b")):
        (tmp_path / name).write_text("x" * 5000 + letter + "tail")
    one, other = (
        changed(base, tmp_path / f"{name}.raw", f"write {tmp_path / name} /etc/file") for name in ("one", "other")
    )
    file = files(differences(one, other))["/etc/file"]
    assert (file["change"], file["fields"]) == ("changed", [])
    assert file["bytes"] == {"offset": 5000, "before": b"atail".hex(), "after": b"btail".hex()}
    screen = diff(one, other)
    assert screen.code == 1
    assert "~  /etc/file  content at byte 5000: 617461696c to 627461696c" in screen.stdout
    assert screen.stdout.splitlines()[-1] == "different: 1 partition, files: 1 changed"


def test_esp_bytes_and_identifiers(base: Path, tmp_path: Path) -> None:
    other = changed(base, tmp_path / "other.raw")
    (tmp_path / "grub.cfg").write_text("menu\n")
    env = {"MTOOLS_SKIP_CHECK": "1"}
    run(["mcopy", "-i", f"{other}@@{ESP_OFFSET}", tmp_path / "grub.cfg", "::/EFI/BOOT/grub.cfg"], env=env)
    run(["tune2fs", "-f", "-L", "another", f"{other}?offset={ROOT_OFFSET}"])
    with other.open("r+b") as file:
        file.seek(73 * MIB + 100)
        file.write(b"spare")
    found = differences(base, other)
    assert list(files(found, 1)) == ["/EFI/BOOT/grub.cfg"]
    fields = {p["number"]: {field["name"]: field["after"] for field in p["fields"]} for p in found["partitions"]}
    assert fields == {1: {}, 2: {"filesystem label": "another"}, 3: {}}
    assert found["partitions"][2]["bytes"] == {
        "offset": 100, "before": bytes(16).hex(), "after": (b"spare" + bytes(11)).hex(),
    }  # fmt: skip


def test_partition_that_only_one_has(base: Path, tmp_path: Path) -> None:
    other = small_base(tmp_path / "other.raw", edit)
    found = differences(base, other)
    assert [(p["number"], p["change"]) for p in found["partitions"] if p["change"] != "changed"] == [(3, "removed")]
    assert "size" in [field["name"] for field in found["disk"]]


@pytest.mark.parametrize("other", ["missing.raw", "text.raw", "damaged.raw"])
def test_trouble_has_its_own_exit_code(other: str, base: Path, tmp_path: Path) -> None:
    (tmp_path / "text.raw").write_text("no image\n" * 1000)
    damaged = changed(base, tmp_path / "damaged.raw")
    with damaged.open("r+b") as file:
        file.seek(ROOT_OFFSET + 1024)
        superblock = bytearray(file.read(1024))
        superblock[0x28:0x2C] = b"\xff" * 4
        # With its checksum, as newer ones of libblkid see no ext4 there otherwise.
        superblock[1020:] = struct.pack("<I", crc32c(bytes(superblock[:1020])))
        file.seek(ROOT_OFFSET + 1024)
        file.write(superblock)
    done = diff(base, tmp_path / other)
    assert (done.code, done.stdout) == (2, ""), done.stdout + done.stderr
    assert "the images cannot be compared" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.skipif(not open_to_all(Path(__file__).resolve()), reason="ordinary users cannot read this checkout")
def test_needs_no_root(base: Path) -> None:
    command_line = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all"]
    env = {"TMPDIR": "/var/tmp", "HOME": "/", "PYTHONPATH": os.pathsep.join(sys.path)}
    # Anybody can reach it, unlike pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="twinroot-diff-", dir="/var/tmp") as directory:
        Path(directory).chmod(0o755)
        image = Path(directory, "base.raw")
        run(["cp", "--sparse=always", base, image])
        image.chmod(0o644)
        result = run([*command_line, sys.executable, "-m", "twinroot.cli.main", "diff", image, image], env=env)
    assert result.stdout.splitlines()[-1] == "equal"
