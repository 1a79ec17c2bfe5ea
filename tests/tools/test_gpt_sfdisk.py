"""Our GPT against util-linux: sfdisk reads what we write, we read what sfdisk writes."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from twinroot.errors import FormatError
from twinroot.formats import gpt
from twinroot.tools.run import run
from twinroot.units import ESP, LINUX_GENERIC, MIB

DISK = UUID("aaaaaaaa-2222-3333-4444-555555555555")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(64 * MIB)
    return path


def dump(image: Path) -> dict[str, object]:
    loaded = json.loads(run(["sfdisk", "--json", image]).stdout)["partitiontable"]
    assert isinstance(loaded, dict)
    return loaded


def write(table: gpt.Table, image: Path) -> None:
    with image.open("r+b") as stream:
        stream.write(gpt.primary_bytes(table))
        stream.seek(gpt.backup_offset(table))
        stream.write(gpt.backup_bytes(table))


def test_sfdisk_reads_ours(image: Path) -> None:
    table = gpt.Table(
        DISK,
        64 * MIB,
        (
            gpt.Partition(1, ESP, UUID(int=1), 2048, 18431, 0, "esp"),
            gpt.Partition(3, LINUX_GENERIC, UUID(int=3), 18432, 40959, 1 << 60, "root-a é"),
        ),
    )
    write(table, image)
    found = dump(image)
    assert found["label"] == "gpt"
    assert str(found["id"]).lower() == str(DISK)
    assert (found["firstlba"], found["lastlba"]) == (table.first_usable_lba, table.last_usable_lba)
    rows = found["partitions"]
    assert isinstance(rows, list)
    assert [(row["node"][-1], row["start"], row["size"], row["name"]) for row in rows] == [
        ("1", 2048, 16384, "esp"),
        ("3", 18432, 22528, "root-a é"),
    ]
    assert [row["type"].lower() for row in rows] == [str(ESP), str(LINUX_GENERIC)]
    assert rows[1]["attrs"] == "GUID:60"
    verdict = run(["sfdisk", "--verify", image])
    assert "No errors detected" in verdict.stdout


def test_sfdisk_finds_our_backup(image: Path) -> None:
    table = gpt.Table(DISK, 64 * MIB, (gpt.Partition(1, ESP, UUID(int=1), 2048, 18431, 0, "esp"),))
    write(table, image)
    with image.open("r+b") as stream:
        stream.seek(512)
        stream.write(bytes(512))
    rows = dump(image)["partitions"]
    assert isinstance(rows, list)
    assert rows[0]["start"] == 2048


def test_we_read_theirs(image: Path) -> None:
    script = (
        f"label: gpt\nlabel-id: {DISK}\n"
        f"start=2048, size=8192, type={ESP}, name=esp, uuid={UUID(int=5)}\n"
        'start=10240, size=20480, type=linux, name="Root Ä", attrs="GUID:59 RequiredPartition"\n'
    )
    run(["sfdisk", image], stdin=script.encode())
    with image.open("rb") as stream:
        table = gpt.read_table(stream, 64 * MIB)
        assert gpt.read_table(stream) == table
    assert table.disk_uuid == DISK
    first, second = table.partitions
    assert first == gpt.Partition(1, ESP, UUID(int=5), 2048, 10239, 0, "esp")
    assert (second.type_uuid, second.name, second.attributes) == (LINUX_GENERIC, "Root Ä", 1 << 59 | 1)
    assert (table.offset(second), table.size(second)) == (5 * MIB, 10 * MIB)


def test_a_dos_label_is_named(image: Path) -> None:
    run(["sfdisk", image], stdin=b"label: dos\nstart=2048, size=8192, type=83\n")
    with image.open("rb") as stream, pytest.raises(FormatError, match="MBR"):
        gpt.read_table(stream)
