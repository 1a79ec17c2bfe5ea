"""Images that start by unified kernels, made of images that start by grub, as the builder does not make them yet.

What another builder would do: kernel and initrd of the root go into one EFI program with a command line, systemd-boot
takes the place of grub on the ESP, and the metadata say so (COSI spec, 3.8).
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

from tests.images import RPMS
from tests.vm.servicing import Image, image_in

from twinroot.events import silent
from twinroot.formats import gpt
from twinroot.formats.cosi.model import BootEntry, Bootloader, Metadata
from twinroot.formats.cosi.writer import CosiPlan, FilesystemPlan, PartitionImage, write_cosi
from twinroot.formats.source import FileRegion
from twinroot.output.unpack import unpack
from twinroot.tools import fat
from twinroot.units import ESP

ESP_SIZE = "100M"
"""Room for two kernels with their initrds, as one of the stand-in distribution has 34 MB."""
KERNEL = "EFI/Linux/vmlinuz-{release}.efi"
_BOOT = "usr/lib/systemd/boot/efi"


def unified(source: Image, place: Path, version: str, arguments: str = "") -> Image:
    """The image with a unified kernel, in `place`; `arguments` are added to its command line.

    `version` names it; what is in its root stays.
    """
    scratch = place / f"{version}.work"
    scratch.mkdir()
    raw = scratch / "disk.raw"
    metadata, table = unpack(source.path, raw, scratch, silent, grow=False)
    root, esp = (_taken(raw, metadata, table, mount_point, scratch) for mount_point in ("/", "/boot/efi"))
    root_uuid = next(each.fs_uuid for each in metadata.images if each.mount_point == "/")
    command_line = f"root=UUID={root_uuid} ro console=ttyS0 {arguments}".strip()
    release = _kernel_release(root)
    systemd = _systemd_boot(scratch)
    kernel = _unified_kernel(scratch, root, release, command_line, systemd / "linuxx64.efi.stub")
    name = KERNEL.format(release=release)
    _with_kernel(esp, scratch, {name: kernel, **_loaders(systemd / "systemd-bootx64.efi")})
    entry = BootEntry("uki-standalone", f"/boot/efi/{name}", command_line, release)
    _write(place / f"{version}.cosi", raw, metadata, table, {"/boot/efi": esp}, Bootloader("systemd-boot", (entry,)))
    subprocess.run(["rm", "-r", scratch], check=True)
    return replace(image_in(place, version), version=source.version)


def _taken(raw: Path, metadata: Metadata, table: gpt.Table, mount_point: str, scratch: Path) -> Path:
    """The filesystem of an unpacked disk that is mounted somewhere, in a file of its own."""
    number = _number(metadata, mount_point)
    size = next(each.image.uncompressed_size for each in metadata.partition_regions() if each.number == number)
    target = scratch / f"partition-{number}.raw"
    where = [f"skip={table.offset(table.partition(number))}", f"count={size}", "iflag=skip_bytes,count_bytes"]
    subprocess.run(["dd", f"if={raw}", f"of={target}", *where, "bs=4M", "conv=sparse", "status=none"], check=True)
    return target


def _number(metadata: Metadata, mount_point: str) -> int:
    path = next(each.image.path for each in metadata.images if each.mount_point == mount_point)
    return next(each.number for each in metadata.partition_regions() if each.image.path == path and each.number)


def _debugfs(filesystem: Path, request: str) -> str:
    return subprocess.run(["debugfs", "-R", request, filesystem], check=True, capture_output=True, text=True).stdout


def _kernel_release(root: Path) -> str:
    found = re.search(r"/vmlinuz-([^/]+)/", _debugfs(root, "ls -p /boot"))
    assert found
    return found[1]


def _systemd_boot(scratch: Path) -> Path:
    """The folder with systemd-boot and the stub of unified kernels, out of the stand-in distribution."""
    package = next(RPMS.glob("systemd-boot-*.rpm"))
    archive = subprocess.run(["rpm2cpio", package], check=True, capture_output=True).stdout
    subprocess.run(["cpio", "-id", "--quiet", f"*{_BOOT}/*"], input=archive, cwd=scratch, check=True)
    return scratch / _BOOT


def _unified_kernel(scratch: Path, root: Path, release: str, command_line: str, stub: Path) -> Path:
    """The stub with the parts of a kernel as sections behind its own (systemd-stub(7))."""
    parts = {name: scratch / name for name in ("osrel", "cmdline", "linux", "initrd")}
    parts["cmdline"].write_text(command_line)
    for name, path in (
        ("osrel", "/usr/lib/os-release"), ("linux", f"/boot/vmlinuz-{release}"),
        ("initrd", f"/boot/initramfs-{release}.img"),
    ):  # fmt: skip
        _debugfs(root, f"dump {path} {parts[name]}")
        assert parts[name].stat().st_size, path
    table = subprocess.run(["objdump", "-h", stub], check=True, capture_output=True, text=True).stdout
    sections = re.findall(r"^ *[0-9]+ \S+ +([0-9a-f]+) +([0-9a-f]+) ", table, re.MULTILINE)
    address = max(int(start, 16) + int(size, 16) for size, start in sections)
    options: list[str | Path] = []
    for name, part in parts.items():
        address = (address + 0xFFF) & ~0xFFF
        options += ["--add-section", f".{name}={part}", "--change-section-vma", f".{name}={address:#x}"]
        address += part.stat().st_size
    target = scratch / "kernel.efi"
    subprocess.run(["objcopy", *options, stub, target], check=True)
    return target


def _loaders(systemd_boot: Path) -> dict[str, Path]:
    return {"EFI/BOOT/BOOTX64.EFI": systemd_boot, "EFI/systemd/systemd-bootx64.efi": systemd_boot}


def _with_kernel(esp: Path, scratch: Path, files: dict[str, Path]) -> None:
    """Make the ESP anew with these files and nothing of grub."""
    tree = scratch / "esp"
    for name, path in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(path.read_bytes())
    size = esp.stat().st_size
    serial = subprocess.run(
        ["blkid", "-s", "UUID", "-o", "value", esp], check=True, capture_output=True, text=True
    ).stdout.strip()
    fat.make(esp, size, volume_id=serial, tree=tree)


def _write(
    path: Path, raw: Path, metadata: Metadata, table: gpt.Table, replaced: dict[str, Path], loader: Bootloader
) -> None:
    """A COSI file of a disk, with other filesystems at some mount points."""
    assert metadata.id
    with raw.open("rb") as disk:
        head = disk.read(len(gpt.primary_bytes(table)))
    others = {_number(metadata, mount_point): file for mount_point, file in replaced.items()}
    sizes = {region.number: region.image.uncompressed_size for region in metadata.partition_regions()}
    plan = CosiPlan(
        image_id=metadata.id,
        os_arch=metadata.os_arch,
        os_release=metadata.os_release,
        disk_size=table.disk_size,
        lba_size=table.sector_size,
        gpt=head,
        base=path.stem,
        partitions=tuple(
            PartitionImage(p.number, FileRegion(others[p.number], 0, others[p.number].stat().st_size))
            if p.number in others
            else PartitionImage(p.number, FileRegion(raw, table.offset(p), sizes[p.number]))
            for p in table.partitions
        ),
        filesystems=tuple(
            FilesystemPlan(
                _number(metadata, each.mount_point), each.mount_point, each.fs_type, each.fs_uuid, each.part_type
            )
            for each in metadata.images
        ),
        packages=metadata.packages or (),
        bootloader=loader,
    )
    assert any(each.part_type == ESP for each in plan.filesystems)
    write_cosi(path, plan, level=1)
