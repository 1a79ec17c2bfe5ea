"""Planning disks: numbers, places and identifiers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.planned import CONFIG, IMAGE_ID, planned_disk

from twinroot.errors import InputError
from twinroot.formats import gpt
from twinroot.plan.disk import PlannedDisk, mount_path, new_identifiers, plan_kept_disk
from twinroot.plan.facts import BaseFilesystem
from twinroot.plan.identity import Identity
from twinroot.units import ESP, GIB, LINUX_GENERIC, MIB

OTHER_ID = UUID("ffffffff-0b0a-4908-8706-050403020100")


def uuids(disk: PlannedDisk) -> set[str]:
    found = {str(disk.table.disk_uuid)} | {str(p.entry.uuid) for p in disk.partitions}
    return found | {p.filesystem.uuid for p in disk.partitions if p.filesystem}


def test_a_new_disk(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path)
    assert disk.repartitioned and disk.table.disk_size == GIB
    assert [p.entry.number for p in disk.partitions] == [1, 2, 3, 4, 5]
    assert [p.offset // MIB for p in disk.partitions] == [1, 17, 145, 657, 721]
    assert [p.size // MIB for p in disk.partitions] == [16, 128, 512, 64, 302]
    assert [p.entry.name for p in disk.partitions] == ["ESP", "", "root label", "", ""]
    assert disk.table.partitions == tuple(p.entry for p in disk.partitions)
    for partition in disk.partitions:
        assert disk.table.offset(partition.entry) == partition.offset
        assert disk.table.size(partition.entry) == partition.size
        assert partition.copy_from is None
    assert [p.filesystem.type if p.filesystem else None for p in disk.partitions] == [
        "vfat", "ext4", "ext4", None, "ext4",
    ]  # fmt: skip
    assert disk.esp is disk.partitions[0] and disk.esp.entry.type_uuid == ESP
    assert [mount_path(p) for p in disk.mounted] == ["/", "/boot", "/boot/efi", "/var/lib/data"]
    assert disk.partitions[2].size_field == "storage.disks[0].partitions[2].size ('root')"
    gpt.primary_bytes(disk.table)


def test_identifiers_follow_from_the_image_id_alone(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path)
    assert planned_disk(tmp_path) == disk
    assert len(uuids(disk)) == 1 + 5 + 4
    assert not uuids(disk) & uuids(planned_disk(tmp_path, image_id=OTHER_ID))
    grown = planned_disk(tmp_path, CONFIG.replace("512M", "513M"))
    assert uuids(grown) == uuids(disk)


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/", "/"),
        ("/boot", "/boot"),
        ("/boot/grub2/grub.cfg", "/boot"),
        ("/boot/efi/EFI", "/boot/efi"),
        ("/bootx", "/"),
        ("/var/lib/data", "/var/lib/data"),
        ("/var/lib/database", "/"),
    ],
)
def test_which_partition_holds_a_path(tmp_path: Path, path: str, mount: str) -> None:
    assert mount_path(planned_disk(tmp_path).holding(path)) == mount


def test_a_disk_without_a_root_filesystem_says_so(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path)
    rootless = PlannedDisk(disk.table, disk.partitions[:2], repartitioned=True)
    assert mount_path(rootless.holding("/boot/x")) == "/boot"
    with pytest.raises(InputError, match="no filesystem is mounted at /"):
        rootless.holding("/etc")


def test_volume_ids_are_as_blkid_shows_them() -> None:
    identity = Identity(IMAGE_ID)
    assert identity.volume_id("filesystem esp") == "CC42-BA01"
    assert identity.uuid("a") != identity.uuid("b")


def kept(kind: str | None, mount_point: str | None) -> tuple[gpt.Table, BaseFilesystem]:
    entry = gpt.Partition(7, LINUX_GENERIC, UUID(int=7), 2048, 2048 + 8191, name="kept")
    table = gpt.Table(UUID(int=1), 64 * MIB, (entry,))
    uuid = "1A2B-3C4D" if kind == "vfat" else "some-uuid"
    features = ("extent", "has_journal") if kind and kind.startswith("ext") else None
    return table, BaseFilesystem(
        entry, MIB, 4 * MIB, kind, uuid if kind else None, "a label", mount_point, None, None, features
    )


@pytest.mark.parametrize(
    ("kind", "made"), [("ext4", "ext4"), ("ext3", "ext4"), ("ext2", "ext4"), ("vfat", "vfat"), ("xfs", "xfs")]
)
def test_a_kept_disk_keeps_identifiers(kind: str, made: str) -> None:
    table, found = kept(kind, "/data")
    disk = plan_kept_disk(table, [found])
    assert disk.table is table and not disk.repartitioned
    (partition,) = disk.partitions
    assert partition.entry is found.partition and partition.copy_from is None
    assert partition.filesystem is not None and partition.filesystem.mount is not None
    assert (partition.filesystem.type, partition.filesystem.uuid, partition.filesystem.label) == (
        made, found.uuid, "a label",
    )  # fmt: skip
    assert partition.filesystem.features == found.features
    assert partition.filesystem.mount.options == "defaults"


@pytest.mark.parametrize("kind", ["ext4", "xfs", "crypto_LUKS", None])
def test_partitions_that_are_not_mounted_keep_their_bytes(kind: str | None) -> None:
    table, found = kept(kind, None)
    (partition,) = plan_kept_disk(table, [found]).partitions
    assert partition.filesystem is None and partition.copy_from == MIB and partition.size == 4 * MIB


@pytest.mark.parametrize(("kind", "shown"), [("jfs", "jfs"), ("btrfs", "btrfs"), (None, "unformatted")])
def test_what_cannot_be_rebuilt_is_named(kind: str | None, shown: str) -> None:
    table, found = kept(kind, "/data")
    with pytest.raises(InputError, match=rf"partition 7 .* mounted at /data, is {shown}"):
        plan_kept_disk(table, [found])


@pytest.mark.parametrize(
    ("kind", "mount_point", "renewed"),
    [("ext4", "/data", True), ("vfat", "/boot/efi", True), ("xfs", None, True), ("swap", None, True),
     ("crypto_LUKS", None, False), (None, None, False)],
)  # fmt: skip
def test_a_kept_disk_with_new_identifiers(kind: str | None, mount_point: str | None, renewed: bool) -> None:
    table, found = kept(kind, mount_point)
    disk = plan_kept_disk(table, [found], Identity(IMAGE_ID))
    (partition,) = disk.partitions
    assert disk.table.disk_uuid != table.disk_uuid and disk.table.partitions == (partition.entry,)
    assert partition.entry == replace(found.partition, uuid=partition.entry.uuid)
    assert partition.entry.uuid != found.partition.uuid
    names = new_identifiers(disk, [found])
    assert names[str(found.partition.uuid)] == str(partition.entry.uuid)
    assert len(names) == 1 + renewed
    if mount_point is None:
        assert partition.copy_from == MIB and (partition.copy_identity is not None) == renewed
    else:
        assert partition.filesystem and partition.filesystem.uuid == names[(found.uuid or "").lower()]


def test_verity_hashes_allow_no_new_identifiers() -> None:
    table, found = kept("DM_verity_hash", None)
    with pytest.raises(InputError, match="verity hashes"):
        plan_kept_disk(table, [found], Identity(IMAGE_ID))


@pytest.mark.parametrize(
    ("name", "uuid"),
    [
        ("linux-generic", "0fc63daf-8483-4772-8e79-3d69d8477de4"),
        ("esp", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
        ("bios-grub", "21686148-6449-6e6f-744e-656564454649"),
        ("xbootldr", "bc13c2ff-59e6-4262-a352-b275fd6f7172"),
        ("root", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
        ("root-verity", "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
        ("usr", "8484680c-9521-48c6-9c11-b0720656f69e"),
        ("usr-verity", "77ff5f63-e7b6-4633-acf4-1565b864c0e6"),
        ("home", "933ac7e1-2eb4-4f13-b844-0e14e2aef915"),
        ("srv", "3b8f8425-20e0-4f3b-907f-1a25a76f98e8"),
        ("swap", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
        ("tmp", "7ec6f557-3bc5-4aca-b293-16ef5df639d1"),
        ("var", "4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
        ("12345678-1234-4234-8234-123456789ABC", "12345678-1234-4234-8234-123456789abc"),
    ],
)
def test_every_partition_type(tmp_path: Path, name: str, uuid: str) -> None:
    text = CONFIG.replace("{id: spare, size: 64M}", f"{{id: spare, size: 64M, type: {name}}}")
    if name == "esp":
        text = text.replace(", type: esp, size", ", size").replace("deviceId: esp", "deviceId: spare")
    if name == "bios-grub":
        text = text.replace("efi\n", "legacy\n", 1).replace("type: esp", "type: bios-grub")
        text = "\n".join(line for line in text.splitlines() if "fat32" not in line and "id: spare" not in line)
    disk = planned_disk(tmp_path, text)
    partition = disk.partitions[0 if name == "bios-grub" else 3]
    assert str(partition.entry.type_uuid) == uuid
    assert (partition.filesystem is None) == (name != "esp"), "a type alone makes no filesystem"
