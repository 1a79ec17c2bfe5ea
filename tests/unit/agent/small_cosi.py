"""A COSI file with one partition of any contents."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from twinroot.formats import gpt
from twinroot.formats.cosi import model, writer
from twinroot.formats.source import BytesRegion
from twinroot.units import MIB, partition_type, round_up

ROOT = partition_type("root", "x86_64")


def write_cosi(path: Path, contents: bytes, level: int = 3) -> Path:
    """Write it; the partition is as large as its contents, in whole MiB, and at least one."""
    size = max(round_up(len(contents), MIB), MIB)
    entry = gpt.Partition(1, ROOT, UUID(int=1), 2048, 2048 + size // 512 - 1, 0, "root")
    disk_size = size + 2 * MIB
    plan = writer.CosiPlan(
        image_id=UUID("5a2d4c0e-6b0e-4b7e-9f64-0b5d1c2e3f40"),
        os_arch="x86_64",
        os_release="ID=test\n",
        disk_size=disk_size,
        gpt=gpt.primary_bytes(gpt.Table(UUID(int=99), disk_size, (entry,))),
        base="small",
        partitions=(writer.PartitionImage(1, BytesRegion(contents)),),
        filesystems=(writer.FilesystemPlan(1, "/", "ext4", "88d2fa9b-7a32-450a-a9f8-aa9c3de79298", ROOT),),
        packages=(),
        bootloader=model.Bootloader("grub"),
    )
    writer.write_cosi(path, plan, level=level)
    return path
