"""`inspect` and `verify` on real small images, whole and broken."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest
from tests.images import Finished, command
from tests.images.synthetic import ESP_ID, MIB, ROOT_UUID, Part, make_disk, small_base
from tests.tools.test_convert import IMAGE_ID, converted, edit, old_revision

from twinroot.tools.run import run


def twinroot(*arguments: object, env: dict[str, str] | None = None) -> Finished:
    return command("main", *arguments, env=env)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_base(tmp_path_factory.mktemp("base") / "base.raw", edit, extra=[Part(4, name="spare")])


@pytest.fixture(scope="module")
def cosi(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cosi")
    return converted(base, directory / "image.cosi", "cosi", directory)


def inspected(path: Path) -> dict[str, object]:
    done = twinroot("inspect", path, "--json")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def row(found: dict[str, object], number: int) -> dict[str, object]:
    partitions = found["partitions"]
    assert isinstance(partitions, list)
    chosen = partitions[number - 1]
    assert isinstance(chosen, dict)
    return chosen


@pytest.mark.parametrize("disk_format", ["raw", "qcow2", "vhdx"])
def test_disk(base: Path, tmp_path: Path, disk_format: str) -> None:
    path = base if disk_format == "raw" else converted(base, tmp_path / "disk", disk_format, tmp_path)
    found = inspected(path)
    assert (found["format"], found["imageId"], found["cosi"], found["notes"]) == (disk_format, IMAGE_ID, None, [])
    esp, root, spare = (row(found, number) for number in (1, 2, 3))
    assert (esp["type"], esp["fsType"], esp["fsUuid"], esp["mountPoint"]) == ("esp", "vfat", ESP_ID, "/boot/efi")
    assert (esp["start"], esp["size"], esp["label"], esp["fsLabel"]) == (MIB, 8 * MIB, "esp", "ESPLABEL")
    assert (root["fsUuid"], root["fsLabel"], root["mountPoint"]) == (ROOT_UUID, "rootlabel", "/")
    used = root["used"]
    assert isinstance(used, int)
    assert 3 * MIB < used < 64 * MIB
    assert (spare["fsType"], spare["used"], spare["mountPoint"]) == (None, None, None)
    system = found["os"]
    assert isinstance(system, dict)
    assert (system["id"], system["version"], system["architecture"]) == ("debian", "12", "x86_64")
    assert [package["name"] for package in system["packages"]] == ["base-files", "grub-efi-amd64"]
    assert found["boot"] == {
        "loader": "grub", "commandLine": "root=PARTUUID=x quiet", "kernels": ["6.1.0"], "ukis": [],
    }  # fmt: skip


def test_cosi(base: Path, cosi: Path) -> None:
    found, disk = inspected(cosi), inspected(base)
    assert (found["format"], found["imageId"]) == ("cosi", IMAGE_ID)
    assert found["disk"] == disk["disk"]
    assert found["os"] == disk["os"]
    for number in (1, 2, 3):
        left, right = row(found, number), row(disk, number)
        for key in ("number", "label", "typeUuid", "partUuid", "start", "size", "mountPoint"):
            assert left[key] == right[key]
        assert isinstance(left["image"], dict)
    facts = found["cosi"]
    assert isinstance(facts, dict)
    assert facts["version"] == "1.2"


def test_cosi_before_1_2(cosi: Path, tmp_path: Path) -> None:
    old_revision(cosi, tmp_path / "old.cosi")
    found = inspected(tmp_path / "old.cosi")
    assert found["disk"] is None
    assert [row(found, n)["mountPoint"] for n in (1, 2)] == ["/", "/boot/efi"]
    assert "COSI 1.1" in twinroot("inspect", tmp_path / "old.cosi").stdout


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "┌"), ("ascii", "+---")])
def test_screen(base: Path, encoding: str, mark: str) -> None:
    done = twinroot("inspect", base, "--packages", env={"COLUMNS": "80", "PYTHONIOENCODING": encoding})
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert lines[2].startswith(mark)
    assert {len(line) for line in lines[2:8]} == {80}
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    assert any(line.startswith("grub-efi-amd64") for line in lines)


def test_packages_of_an_rpm_database(tmp_path: Path) -> None:
    def rpm_system(root: Path) -> None:
        (root / "var/lib/dpkg/status").unlink()
        database = root / "usr/lib/sysimage/rpm"
        database.mkdir(parents=True)
        run(["rpm", "--dbpath", database, "--define", "_db_backend sqlite", "--initdb"])
        with sqlite3.connect(database / "rpmdb.sqlite") as connection:
            assert connection.execute("select count(*) from Packages").fetchone() == (0,)
        connection.close()
        (root / "var/lib/rpm").symlink_to("../../usr/lib/sysimage/rpm")

    system = inspected(small_base(tmp_path / "base.raw", rpm_system))["os"]
    assert isinstance(system, dict)
    assert (system["packageFormat"], system["packages"]) == ("rpm", [])


def test_a_disk_without_an_operating_system(tmp_path: Path) -> None:
    found = inspected(make_disk(tmp_path / "disk.raw", [Part(4, name="one"), Part(2, name="two")]))
    assert found["os"] is None
    assert [row(found, n)["label"] for n in (1, 2)] == ["one", "two"]
    assert "no operating system" in str(found["notes"])


def test_a_disk_with_a_damaged_filesystem(base: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    data = bytearray(base.read_bytes())
    data[9 * MIB + 1024 + 0x20 : 9 * MIB + 1024 + 0x38] = b"\xff" * 0x18
    disk.write_bytes(data)
    found = inspected(disk)
    assert found["os"] is None
    assert row(found, 2)["label"] == "rootfs"


BROKEN = {
    "missing.raw": (None, "does not exist"),
    "empty.raw": (b"", "empty"),
    "text.raw": (b"no image at all\n" * 99, "partition table"),
    "blank.raw": (bytes(2 * MIB), "partition table"),
    "text.cosi": (b"no image at all\n" * 99, "COSI file"),
    "qcow2": (b"QFI\xfb\0\0\0\3" + bytes(MIB), "damaged"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("flag", ["--json", "--packages"])
def test_inspect_refuses(tmp_path: Path, name: str, flag: str) -> None:
    data, expected = BROKEN[name]
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    done = twinroot("inspect", path, flag)
    assert (done.code, done.stdout) == (1, "")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_verify(cosi: Path) -> None:
    done = twinroot("verify", cosi)
    assert done.code == 0
    assert done.stdout.splitlines()[-1] == "valid"
    assert json.loads(twinroot("verify", cosi, "--json").stdout) == {
        "file": str(cosi), "valid": True, "errors": [], "warnings": [],
    }  # fmt: skip


def test_verify_tells_the_rule(cosi: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.cosi"
    data = bytearray(cosi.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    done = twinroot("verify", broken)
    assert done.code == 1
    assert "[C4]" in done.stdout
    assert "NOT VALID: 1 error" in done.stdout
    found = json.loads(twinroot("verify", broken, "--json").stdout)
    assert found["valid"] is False
    assert [error["rule"] for error in found["errors"]] == ["C4"]


@pytest.mark.parametrize("name", ["missing.raw", "empty.raw", "text.raw", "text.cosi"])
def test_verify_refuses(tmp_path: Path, name: str) -> None:
    data, _ = BROKEN[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    done = twinroot("verify", tmp_path / name)
    assert done.code == 1
    assert "Traceback" not in done.stderr


def test_nothing_is_left_in_the_scratch_directory(base: Path, tmp_path: Path) -> None:
    disk = converted(base, tmp_path / "disk.qcow2", "qcow2", tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert twinroot("inspect", disk, env={"TMPDIR": str(scratch)}).code == 0
    assert os.listdir(scratch) == []  # noqa: PTH208 - an empty list says it best
