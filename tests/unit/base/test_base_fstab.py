"""Reading the fstab of base images as people and distributions write them."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from twinroot.base.facts import matches
from twinroot.base.fstab import mount_problem, parse_fstab
from twinroot.formats import gpt
from twinroot.plan.facts import BaseFilesystem
from twinroot.storage.fstab import FstabEntry
from twinroot.units import LINUX_GENERIC

PART_UUID = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("UUID=a / ext4 defaults 0 1", FstabEntry("UUID=a", "/", "ext4", "defaults")),
        ("\tUUID=a\t/\text4\tdefaults\t0\t1\r", FstabEntry("UUID=a", "/", "ext4", "defaults")),
        ("UUID=a / ext4", FstabEntry("UUID=a", "/", "ext4", "defaults")),
        ("LABEL=my\\040disk /my\\040place\\011x ext4 ro", FstabEntry("LABEL=my disk", "/my place\tx", "ext4", "ro")),
        ("LABEL=back\\134040 / ext4 ro", FstabEntry("LABEL=back\\040", "/", "ext4", "ro")),
        ("LABEL=hash\\043 / ext4 ro", FstabEntry("LABEL=hash#", "/", "ext4", "ro")),
        ("UUID=a /boot/ ext4 ro", FstabEntry("UUID=a", "/boot", "ext4", "ro")),
        ("/dev/sda1 / ext4 ro", FstabEntry("/dev/sda1", "/", "ext4", "ro")),
    ],
)
def test_entries(line: str, expected: FstabEntry) -> None:
    assert parse_fstab(f"# comment\n\n{line}\n") == [expected]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "# UUID=a / ext4 defaults",
        "  #UUID=a / ext4 defaults",
        "UUID=a",
        "UUID=a /",
        "UUID=a none swap sw 0 0",
        "/swapfile swap swap defaults 0 0",
        "tmpfs /tmp tmpfs nosuid 0 0",
        "overlay /etc overlay lowerdir=/a,upperdir=/b,workdir=/c 0 0",
        "/a /b none bind 0 0",
        "/a /b ext4 defaults,rbind 0 0",
        "server:/x /mnt nfs defaults 0 0",
        "//server/x /mnt cifs defaults 0 0",
        "u@h:/x /mnt fuse.sshfs defaults 0 0",
        "x /mnt ext4 defaults,_netdev 0 0",
        "UUID=b /data xfs noauto 0 0",
        "/dev/disk/azure/scsi1/lun0-part1 /data ext4 nofail 0 2",
        "/dev/disk/cloud/azure_resource-part1 /mnt auto defaults,nofail 0 2",
        "efivarfs /sys/firmware/efi/efivars efivarfs defaults 0 0",
        "hugetlbfs /hugepages hugetlbfs defaults 0 0",
    ],
)
def test_what_is_passed_over(line: str) -> None:
    assert parse_fstab(line + "\n") == []


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        (["/", "/boot", "/boot/efi"], None),
        (["/", "boot"], "no plain absolute path"),
        (["/", "/a/../../etc"], "no plain absolute path"),
        (["/", "/a//b"], "no plain absolute path"),
        (["/", "/boot", "/boot"], "twice"),
    ],
)
def test_mount_problem(points: list[str], problem: str | None) -> None:
    found = mount_problem([FstabEntry("UUID=a", point, "ext4", "defaults") for point in points])
    assert (found is None) if problem is None else problem in (found or "")


FILESYSTEM = BaseFilesystem(
    gpt.Partition(1, LINUX_GENERIC, PART_UUID, 2048, 4095, name="root label"), 0, 0, "ext4", "1A2B-3C4D", "my disk"
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("UUID=1A2B-3C4D", True),
        ("UUID=1a2b-3c4d", True),
        ('UUID="1A2B-3C4D"', True),
        ("UUID=", False),
        (f"PARTUUID={PART_UUID}", True),
        (f"PARTUUID={str(PART_UUID).upper()}", True),
        ("LABEL=my disk", True),
        ('LABEL="my disk"', True),
        ("LABEL=MY DISK", False),
        ("PARTLABEL=root label", True),
        ("/dev/sda1", False),
        ("my disk", False),
    ],
)
def test_matches(source: str, expected: bool) -> None:
    assert matches(source, FILESYSTEM) is expected


@pytest.mark.parametrize("source", ["UUID=", "LABEL=", "PARTLABEL=", "PARTUUID="])
def test_nothing_matches_nothing(source: str) -> None:
    bare = replace(FILESYSTEM, uuid=None, label=None, partition=replace(FILESYSTEM.partition, name=""))
    assert not matches(source, bare)
