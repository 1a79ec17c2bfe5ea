"""The fstab that is written, byte by byte (image behaviour spec, section 5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.planned import planned_disk

from twinroot.base.fstab import parse_fstab
from twinroot.storage.fstab import rename_sources, render, source

EXPECTED = (
    "PARTLABEL=root\\040label / ext4 defaults 0 1\n"
    "PARTUUID=27cafa71-a9ff-5a3b-840e-0f5fc3ae8bf9 /boot ext4 defaults 0 2\n"
    "PARTUUID=2c51e508-7d34-57a4-a2c1-e82971c24e65 /boot/efi vfat umask=0077 0 2\n"
    "UUID=2aea9948-71f3-5662-88b1-8f59aafe1a40 /var/lib/data ext4 defaults 0 2\n"
)


def test_rendered(tmp_path: Path) -> None:
    assert render(planned_disk(tmp_path)) == EXPECTED


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path)
    entries = parse_fstab(render(disk))
    assert entries[0].source == "PARTLABEL=root label"
    assert [entry.mount_point for entry in entries] == ["/", "/boot", "/boot/efi", "/var/lib/data"]


def test_sources(tmp_path: Path) -> None:
    esp = planned_disk(tmp_path).partitions[0]
    assert source(esp, "uuid") == "UUID=CC42-BA01"
    assert source(esp, "part-label") == "PARTLABEL=ESP"
    assert source(esp, "part-uuid") == f"PARTUUID={esp.entry.uuid}"


def test_nothing_mounted(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path)
    bare = tuple(replace(partition, filesystem=None) for partition in disk.partitions)
    assert render(replace(disk, partitions=bare)) == ""


def test_renaming_changes_nothing_but_sources() -> None:
    text = (
        '# UUID=aa stays\nUUID=AA / ext4 defaults 0 1\n  PARTUUID="bb"\t/boot ext4 x-by=UUID=aa 0 2\n'
        "/dev/disk/by-uuid/aa none swap sw\nLABEL=aa /l ext4\nUUID=zz /z ext4\n\nPARTUUID=aab /x ext4"
    )
    expected = (
        '# UUID=aa stays\nUUID=1 / ext4 defaults 0 1\n  PARTUUID="2"\t/boot ext4 x-by=UUID=aa 0 2\n'
        "/dev/disk/by-uuid/1 none swap sw\nLABEL=aa /l ext4\nUUID=zz /z ext4\n\nPARTUUID=aab /x ext4"
    )
    assert rename_sources(text, {"aa": "1", "bb": "2"}) == expected
