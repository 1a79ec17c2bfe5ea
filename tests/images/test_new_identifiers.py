"""`resetPartitionsUuidsType`: every identifier of the disk is new, what names one follows, the rest stays."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.images.synthetic import DISK_UUID, ESP_ID, MIB, ROOT_UUID, Part, small_base
from tests.images.workplace import Workplace

pytestmark = pytest.mark.images
CONFIG = "storage: {resetPartitionsUuidsType: reset-all}\nos: {bootloader: {resetType: hard-reset}}\n"
SWAP_UUID = "22222222-2222-4333-8444-555555555555"
OTHER_UUID = "33333333-2222-4333-8444-555555555555"
SIZES = (8, 64, 4, 8, 8, 8)


def _run(*argv: object) -> str:
    env = os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True, env=env).stdout


def _bytes(path: Path, *command: object) -> bytes:
    path.write_bytes(bytes(8 * MIB))
    _run(*command, path)
    return path.read_bytes()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    def edit(root: Path) -> None:
        with (root / "etc/fstab").open("a") as file:
            file.write(f"# swap\nUUID={SWAP_UUID} none swap sw 0 0\ntmpfs /scratch tmpfs nodev\n")

    extra = [
        Part(4, data=b"raw bytes" * 1000, name="raw"),
        Part(8, data=_bytes(tmp_path / "a", "mkswap", "-q", "-U", SWAP_UUID), name="swap"),
        Part(8, data=_bytes(tmp_path / "b", "mke2fs", "-q", "-t", "ext4", "-U", OTHER_UUID), name="spare"),
        Part(8, data=_bytes(tmp_path / "c", "mkfs.vfat", "-i", "12345678"), name="fat"),
    ]
    return small_base(tmp_path / "base.raw", edit, extra=extra)


def _partitions(disk: Path) -> tuple[str, list[dict[str, object]]]:
    table = json.loads(_run("sfdisk", "--json", disk))["partitiontable"]
    return table["id"], [{k: v for k, v in part.items() if k != "node"} for part in table["partitions"]]


def _uuids(disk: Path) -> list[str | None]:
    found, start = [], 1
    for size in SIZES:
        region = ["--offset", start * MIB, "--size", size * MIB]
        done = subprocess.run(
            ["blkid", "--probe", *map(str, region), "--output", "export", disk],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        found.append(values.get("UUID"))
        start += size
    return found


def test_everything_gets_a_new_identifier(base: Path, place: Workplace) -> None:
    before = base.read_bytes()
    image = place.succeeds(base, CONFIG)
    assert base.read_bytes() == before
    (old_id, old), (new_id, new) = _partitions(base), _partitions(image)
    assert old_id == DISK_UUID != new_id
    assert not {part["uuid"] for part in old} & {part["uuid"] for part in new}
    assert [{**part, "uuid": ""} for part in old] == [{**part, "uuid": ""} for part in new]
    old_ids, new_ids = _uuids(base), _uuids(image)
    assert old_ids == [ESP_ID, ROOT_UUID, None, SWAP_UUID, OTHER_UUID, "1234-5678"]
    assert [value is None for value in new_ids] == [value is None for value in old_ids]
    assert not {value for value in old_ids if value} & set(new_ids)
    root = f"{image}?offset={9 * MIB}"
    lines = _run("debugfs", "-R", "cat /etc/fstab", root).splitlines()
    assert lines == [
        f"UUID={new_ids[1]} / ext4 defaults 0 1",
        f"UUID={new_ids[0]} /boot/efi vfat umask=0077 0 2",
        "# swap",
        f"UUID={new_ids[3]} none swap sw 0 0",
        "tmpfs /scratch tmpfs nodev",
    ]
    assert f"root=UUID={new_ids[1]}" in _run("debugfs", "-R", "cat /boot/grub/grub.cfg", root)
    stub = _run("mtype", "-i", f"{image}@@{MIB}", "::EFI/debian/grub.cfg")
    assert str(new_ids[1]) in stub and ROOT_UUID not in stub
    with image.open("rb") as disk:
        disk.seek(73 * MIB)
        assert disk.read(4 * MIB) == before[73 * MIB : 77 * MIB]
    _run("e2fsck", "-f", "-n", f"{image}?offset={85 * MIB}")


def test_twice_is_different(base: Path, place: Workplace) -> None:
    first = _uuids(place.succeeds(base, CONFIG))
    assert not {value for value in first if value} & set(_uuids(place.succeeds(base, CONFIG)))
