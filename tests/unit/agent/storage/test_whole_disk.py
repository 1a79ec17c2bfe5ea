"""Which disk a whole image goes onto, and what is planned for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.unit.agent.disk_cosi import Part, table_of, write_disk_cosi
from tests.unit.formats.small_file import rewritten

from twinroot.agent.errors import ServicingError
from twinroot.agent.servicing.stream_disk import expected_sha384
from twinroot.agent.storage.disk_facts import DISK_NAME
from twinroot.agent.storage.disk_plan import DiskFacts, Use
from twinroot.agent.storage.whole_disk import Candidate, WholeDisk, check_disk, choose_disk, plan_whole_disk
from twinroot.errors import InputError
from twinroot.events import silent
from twinroot.formats.cosi.layout import disk_table, placed_images
from twinroot.formats.cosi.reader import open_cosi
from twinroot.output.unpack import unpack
from twinroot.units import GIB, MIB

ESP_PART, ROOT_PART = Part(b"esp", 8, "/boot/efi", "vfat"), Part(b"root" * 1000, 16, "/")
TABLE = table_of((ESP_PART, ROOT_PART), 64 * MIB)


def disk(name: str, size: int, **more: Any) -> DiskFacts:
    return replace(DiskFacts(f"/dev/{name}", size), **more)


MOUNTED = (Use(1, "mounted at /"),)


def test_the_smallest_that_is_free_is_taken() -> None:
    found = choose_disk(
        [
            Candidate(disk("sda", 64 * MIB - 512)),
            Candidate(disk("sdb", 64 * MIB, uses=MOUNTED)),
            Candidate(disk("sdc", 65 * MIB), removable=True),
            Candidate(disk("sdf", 65 * MIB), fault="it cannot be read: Input/output error"),
            Candidate(disk("sdd", 66 * MIB, read_only=True)),
            Candidate(disk("sde", 67 * MIB, sector_size=4096)),
            Candidate(disk("vdb", GIB)),
            Candidate(disk("vda", GIB)),
            Candidate(disk("nvme0n1", 2 * GIB)),
        ],
        TABLE,
    )
    assert found.device == "/dev/vda"


def test_no_disk_is_taken_while_a_better_one_may_come() -> None:
    unsettled = Candidate(disk("sda", 0), fault="another program has locked the disk", unsettled=True)
    with pytest.raises(ServicingError, match="/dev/sda: another program has locked the disk") as caught:
        choose_disk([Candidate(disk("sdb", GIB)), unsettled], TABLE)
    assert caught.value.name == "no-suitable-disk"


def test_no_disk_is_right() -> None:
    with pytest.raises(ServicingError, match="as there is none") as caught:
        choose_disk([], TABLE)
    assert (caught.value.name, caught.value.category) == ("no-suitable-disk", "unsupported-configuration")
    with pytest.raises(ServicingError) as caught:
        choose_disk([Candidate(disk("sda", MIB)), Candidate(disk("sdb", GIB, uses=MOUNTED))], TABLE)
    lines = caught.value.message.splitlines()
    assert lines[1] == "  /dev/sda: it has 1 MiB, the image needs 64 MiB"
    assert lines[2] == "  /dev/sdb: it is mounted at /"


def test_a_disk_that_is_named() -> None:
    check_disk(disk("sdc", 64 * MIB), TABLE)
    for wrong in ({"uses": MOUNTED}, {"read_only": True}, {"sector_size": 4096}):
        with pytest.raises(ServicingError, match="/dev/sdc is not right for this image: "):
            check_disk(disk("sdc", 64 * MIB, **wrong), TABLE)
    with pytest.raises(ServicingError, match="/dev/sdc is not right for this image: it has 1 MiB"):
        check_disk(disk("sdc", MIB), TABLE)


def planned(cosi: Path, size: int = GIB, foreign: frozenset[UUID] = frozenset(), **table_fields: Any) -> WholeDisk:
    with open_cosi(cosi) as file:
        table = replace(disk_table(file), **table_fields)
        images = placed_images(file, table)
        return plan_whole_disk(disk("vda", size), table, images, file.metadata, foreign, efi=True)


def test_a_plan(tmp_path: Path) -> None:
    image = write_disk_cosi(
        tmp_path / "a.cosi", ESP_PART, ROOT_PART, Part(bytes(16 * MIB), 16), Part(b"data", 2), disk_size=64 * MIB
    )
    plan = planned(image)
    assert (plan.table.disk_size, len(plan.table.partitions)) == (GIB, 4)
    assert [placed.offset // MIB for placed in plan.images] == [1, 9, 25, 41]
    # FAT does not grow, nor does what the metadata do not know.
    assert [placed.partition.number for placed in plan.growing] == [2]
    # Behind images that end early: what follows them, and the ends of the partitions; the third fills its partition.
    data = len(b"root" * 1000)
    assert plan.cleared == (
        (MIB + 3, 5 * MIB - 3), (8 * MIB, MIB),
        (9 * MIB + data, 5 * MIB - data), (24 * MIB, MIB),
        (41 * MIB + 4, 2 * MIB - 4),
    )  # fmt: skip


def test_what_cannot_be_planned(tmp_path: Path) -> None:
    whole = write_disk_cosi(tmp_path / "a.cosi", ESP_PART, ROOT_PART, disk_size=64 * MIB)
    with pytest.raises(ServicingError, match="another disk of this machine has a partition with the UUID") as caught:
        planned(whole, foreign=frozenset({UUID(int=1)}))
    assert caught.value.name == "create-partitions"
    for parts, missing in (((ROOT_PART,), "no EFI system partition"), ((ESP_PART,), "no root")):
        with pytest.raises(ServicingError, match=f"nothing can start from this image: it has {missing}") as caught:
            planned(write_disk_cosi(tmp_path / "b.cosi", *parts, disk_size=64 * MIB))
        assert caught.value.name == "derive-host-configuration"
    # Of a disk with boot code a BIOS starts.
    with pytest.raises(ServicingError, match="no EFI system partition"):
        planned(write_disk_cosi(tmp_path / "b.cosi", ROOT_PART, disk_size=64 * MIB), boot_code=b"code")


def with_loose_hashes(path: Path) -> Path:
    """An image whose root has its verity hashes in no partition."""
    write_disk_cosi(path, ESP_PART, ROOT_PART, disk_size=64 * MIB)

    def change(document: dict[str, Any]) -> None:
        image = document["images"][1]["image"] | {"path": "images/hash.zst"}
        document["images"][1]["verity"] = {"image": image, "roothash": "ab" * 32}

    path.write_bytes(rewritten(path.read_bytes(), change))
    return path


def test_hashes_without_a_partition(tmp_path: Path) -> None:
    """Which the metadata's schema allows."""
    cosi = with_loose_hashes(tmp_path / "a.cosi")
    with pytest.raises(ServicingError, match="the verity hashes of / are in no partition") as caught:
        planned(cosi)
    assert caught.value.name == "derive-host-configuration"
    with pytest.raises(InputError, match="the verity hashes of / have no partition"):
        unpack(cosi, tmp_path / "disk.raw", tmp_path, silent)
    assert not (tmp_path / "disk.raw").exists()


def test_tables_that_cannot_be_written(tmp_path: Path) -> None:
    """Known before the disk is touched."""
    cosi = write_disk_cosi(tmp_path / "a.cosi", ESP_PART, ROOT_PART, disk_size=64 * MIB)
    first, second = TABLE.partitions
    with pytest.raises(ServicingError, match="does not fit onto /dev/vda: partition 2 overlaps"):
        planned(cosi, 25 * MIB, disk_size=25 * MIB)
    with pytest.raises(ServicingError, match="the image has 2 partitions with the UUID"):
        planned(cosi, partitions=(first, replace(second, uuid=first.uuid)))
    with open_cosi(cosi) as file:
        images = placed_images(file, disk_table(file))
        high = replace(TABLE, entry_count=512, partitions=(first, replace(second, number=300)))
        with pytest.raises(ServicingError, match="number above 255"):
            plan_whole_disk(disk("vda", GIB), high, images, file.metadata, frozenset(), efi=True)


def test_names_of_disks() -> None:
    names = ("sda", "vdb", "xvda", "hdc", "nvme0n1", "mmcblk0", "sdaa")
    assert all(DISK_NAME.fullmatch(name) for name in names)
    others = ("loop0", "sr0", "dm-0", "md0", "mmcblk0boot0", "nvme0c0n1", "ram0", "zram0", "sda1", "nvme0n1p1")
    assert not any(DISK_NAME.fullmatch(name) for name in others)


@pytest.mark.parametrize("text", ["ignored", "sha384:" + "aB" * 48, "ab" * 48])
def test_hashes(text: str) -> None:
    assert expected_sha384(text) == ("ignored" if text == "ignored" else "ab" * 48)


@pytest.mark.parametrize("text", ["", "sha384:", "sha256:" + "ab" * 32, "sha384:ignored", "ab" * 47])
def test_hashes_that_are_none(text: str) -> None:
    with pytest.raises(ServicingError) as caught:
        expected_sha384(text)
    assert caught.value.name == "unsupported-hash-kind"
