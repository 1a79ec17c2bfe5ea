"""A small but complete COSI plan: a verity-protected root with its hash tree, an ESP, an empty partition."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from twinroot.formats import gpt
from twinroot.formats.cosi import model
from twinroot.formats.cosi.writer import CosiPlan, FilesystemPlan, PartitionImage, VerityPlan
from twinroot.formats.source import BytesRegion
from twinroot.units import ESP, LINUX_GENERIC, MIB, partition_type

IMAGE_ID = UUID("5a2d4c0e-6b0e-4b7e-9f64-0b5d1c2e3f40")
ROOT = partition_type("root", "x86_64")
ROOT_HASH = partition_type("root-verity", "x86_64")
KIB64 = 128  # sectors


def table() -> gpt.Table:
    """Partition 3 lies before partition 2, as the order of regions is that of the disk."""
    starts = ((1, ESP, 64), (3, ROOT_HASH, 64 + KIB64), (2, ROOT, 64 + 2 * KIB64), (4, LINUX_GENERIC, 64 + 3 * KIB64))
    partitions = (gpt.Partition(n, kind, UUID(int=n), at, at + KIB64 - 1, 0, f"p{n}") for n, kind, at in starts)
    return gpt.Table(UUID(int=99), MIB, tuple(partitions))


def contents() -> dict[int, bytes]:
    return {
        1: b"esp " * 100 + bytes(8192),
        2: bytes(10_000) + bytes(range(256)) + bytes(65536 - 10_256),
        3: b"hash",
        4: bytes(65536),
    }


def plan() -> CosiPlan:
    entry = model.BootEntry("uki-standalone", "/boot/efi/EFI/Linux/a.efi", "root=/dev/mapper/root ro", "6.6.1")
    return CosiPlan(
        image_id=IMAGE_ID,
        os_arch="x86_64",
        os_release='ID=test\nNAME="Tést"\n',
        disk_size=MIB,
        gpt=gpt.primary_bytes(table()),
        base="small",
        partitions=tuple(PartitionImage(number, BytesRegion(data)) for number, data in contents().items()),
        filesystems=(
            FilesystemPlan(1, "/boot/efi", "vfat", "A1B2-C3D4", ESP),
            FilesystemPlan(2, "/", "ext4", "88d2fa9b-7a32-450a-a9f8-aa9c3de79298", ROOT, VerityPlan(3, "ab" * 32)),
        ),
        packages=(model.Package("bash", "5.1", "1", "x86_64"), model.Package("libc", "2", "", "i686")),
        bootloader=model.Bootloader("systemd-boot", (entry,)),
    )


def changed(**fields: object) -> CosiPlan:
    return dataclasses.replace(plan(), **fields)  # type: ignore[arg-type]
