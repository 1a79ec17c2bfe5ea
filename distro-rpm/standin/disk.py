"""A disk image from a root: GPT, an EFI system partition and an ext4 root, made without mounting anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from standin.tree import remove
from twinroot.formats.gpt import Partition, Table, backup_bytes, backup_offset, primary_bytes
from twinroot.tools import fat, qemu_img
from twinroot.tools.run import run
from twinroot.units import ESP, MIB, partition_type

_SECTOR = 512
# What a boot loader as old as GRUB 2.06 cannot read or that needs a newer e2fsck than the image's is left out.
_EXT4_FEATURES = "^orphan_file,^metadata_csum_seed"
_NAMESPACE = UUID("d2a5aa3e-6c0c-4ddc-9a53-8d3e3ab1c1a5")


@dataclass(frozen=True)
class Layout:
    """Identifiers and sizes (bytes) of a disk. All identifiers follow from the name, so that builds compare."""

    name: str
    disk_size: int
    esp_size: int

    @property
    def root_uuid(self) -> str:
        """UUID of the root filesystem."""
        return str(self._uuid("root filesystem"))

    @property
    def root_partuuid(self) -> str:
        """UUID of the root partition."""
        return str(self._uuid("root partition"))

    @property
    def esp_partuuid(self) -> str:
        """UUID of the EFI system partition."""
        return str(self._uuid("esp partition"))

    @property
    def esp_volume_id(self) -> str:
        """Volume id of the FAT filesystem, `1A2B-3C4D`."""
        text = self._uuid("esp filesystem").hex[:8].upper()
        return f"{text[:4]}-{text[4:]}"

    def table(self) -> Table:
        """The partition table: the EFI system partition from 1 MiB on, then the root up to the last MiB."""
        esp_first, root_first = MIB // _SECTOR, (MIB + self.esp_size) // _SECTOR
        root_last = (self.disk_size - MIB) // _SECTOR - 1
        root_type = partition_type("root", "x86_64")
        return Table(
            self._uuid("disk"),
            self.disk_size,
            (
                Partition(1, ESP, UUID(self.esp_partuuid), esp_first, root_first - 1, name="esp"),
                Partition(2, root_type, UUID(self.root_partuuid), root_first, root_last, name="rootfs"),
            ),
        )

    def fstab(self) -> str:
        """The fstab of the image."""
        return (
            f"PARTUUID={self.root_partuuid} / ext4 defaults 0 1\n"
            f"PARTUUID={self.esp_partuuid} /boot/efi vfat umask=0077 0 2\n"
        )

    def _uuid(self, what: str) -> UUID:
        return uuid5(_NAMESPACE, f"{self.name} {what}")


def make(root: Path, layout: Layout, target: Path, image_format: str, scratch: Path) -> None:
    """Write the disk image. What the root has below /boot/efi moves to the EFI system partition."""
    esp = scratch / "esp"
    esp.mkdir()
    for path in sorted((root / "boot/efi").iterdir()):
        path.rename(esp / path.name)
    table = layout.table()
    raw = scratch / "disk.raw"
    with raw.open("wb") as disk:
        disk.truncate(layout.disk_size)
        disk.write(primary_bytes(table))
        disk.seek(backup_offset(table))
        disk.write(backup_bytes(table))
    _fill_esp(esp, layout, table, raw, scratch / "esp.img")
    root_partition = table.partition(2)
    run(
        [
            *("mkfs.ext4", "-q", "-F", "-b", "4096", "-O", _EXT4_FEATURES, "-U", layout.root_uuid, "-L", "rootfs"),
            *("-E", f"offset={table.offset(root_partition)},hash_seed={layout.root_uuid},lazy_itable_init=1"),
            *("-m", "0", "-d", root, raw, f"{table.size(root_partition) // 1024}k"),
        ]
    )
    remove(esp)
    part = target.with_name(f".{target.name}.part")
    qemu_img.convert(raw, part, source_format="raw", target_format=image_format)
    part.rename(target)


def _fill_esp(esp: Path, layout: Layout, table: Table, raw: Path, image: Path) -> None:
    partition = table.partition(1)
    fat.make(image, table.size(partition), volume_id=layout.esp_volume_id, tree=esp)
    with image.open("rb") as source, raw.open("r+b") as disk:
        disk.seek(table.offset(partition))
        while block := source.read(MIB):
            disk.write(block)
