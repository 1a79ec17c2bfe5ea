"""A COSI file written anew: the same images, compressed at another level."""

from __future__ import annotations

from pathlib import Path

from twinroot.errors import FormatError
from twinroot.events import Emit, phase
from twinroot.formats import gpt
from twinroot.formats.cosi.model import Bootloader, Filesystem, Metadata
from twinroot.formats.cosi.writer import CosiPlan, FilesystemPlan, PartitionImage, VerityPlan, write_cosi
from twinroot.formats.source import FileRegion
from twinroot.output.identity import kept_identity
from twinroot.output.unpack import unpack


def repack(source: Path, target: Path, name: str, scratch: Path, emit: Emit, *, level: int) -> None:
    """Unpack into `scratch` and write `target`, which people know as `name` and which keeps the image id."""
    raw = scratch / "disk.raw"
    metadata, table = unpack(source, raw, scratch, emit, grow=False)
    with raw.open("rb") as disk:
        head = disk.read(len(gpt.primary_bytes(table)))
    plan = cosi_plan(metadata, table, raw, head, Path(name).stem, str(source))
    with phase(emit, "cosi", f"Writing {name}", total=plan.total) as advance:
        write_cosi(target, plan, level=level, progress=advance)


def cosi_plan(metadata: Metadata, table: gpt.Table, raw: Path, head: bytes, base: str, name: str) -> CosiPlan:
    """What makes the COSI file called `name` again of its unpacked disk; `head` and `base` are those of `CosiPlan`."""
    numbers = {region.image.path: region.number for region in metadata.partition_regions() if region.number}
    sizes = {region.number: region.image.uncompressed_size for region in metadata.partition_regions()}
    return CosiPlan(
        image_id=kept_identity(metadata.id, Path(name)).image_id,
        os_arch=metadata.os_arch,
        os_release=metadata.os_release,
        disk_size=table.disk_size,
        lba_size=table.sector_size,
        gpt=head,
        base=base,
        partitions=tuple(
            PartitionImage(p.number, FileRegion(raw, table.offset(p), sizes[p.number])) for p in table.partitions
        ),
        filesystems=tuple(_filesystem(filesystem, numbers, name) for filesystem in metadata.images),
        packages=metadata.packages or (),
        bootloader=metadata.bootloader or Bootloader("grub"),
    )


def _filesystem(filesystem: Filesystem, numbers: dict[str, int], name: str) -> FilesystemPlan:
    verity = filesystem.verity
    try:
        return FilesystemPlan(
            partition=numbers[filesystem.image.path],
            mount_point=filesystem.mount_point,
            fs_type=filesystem.fs_type,
            fs_uuid=filesystem.fs_uuid,
            part_type=filesystem.part_type,
            verity=VerityPlan(numbers[verity.image.path], verity.roothash, verity.hash_offset) if verity else None,
        )
    except KeyError as error:
        raise FormatError(f"'{error.args[0]}' is the image of no partition", where=name) from error
