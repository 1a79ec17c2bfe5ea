"""Images that start by unified kernels, made of images that start by grub, as the builder does not make them yet.

What another builder would do: kernel and initrd of the root go into one EFI program with a command line, systemd-boot
takes the place of grub on the ESP, and the metadata say so (COSI spec, 3.8).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.images import RPMS
from tests.vm.hardware import SAME_ADDRESSES
from tests.vm.servicing import Image, image_in

from twinroot.events import silent
from twinroot.formats import gpt
from twinroot.formats.cosi.model import BootEntry, Bootloader, Filesystem, ImageFile, Metadata
from twinroot.formats.cosi.writer import PartitionImage, write_cosi
from twinroot.formats.source import FileRegion
from twinroot.output.repack import cosi_plan
from twinroot.output.unpack import unpack
from twinroot.tools import fat

ESP_SIZE = "100M"
"""Room for two kernels with their initrds, as one of the stand-in distribution has 34 MB."""
KERNEL = "EFI/Linux/vmlinuz-{release}.efi"
_BOOT = "usr/lib/systemd/boot/efi"


def unified(source: Image, place: Path, version: str, arguments: str = "") -> Image:
    """The image with a unified kernel, in `place`; `arguments` are added to its command line.

    `version` names it; what is in its root stays. What verity protects is opened by the command line.
    """
    scratch = place / f"{version}.work"
    scratch.mkdir(parents=True)
    raw = scratch / "disk.raw"
    metadata, table = unpack(source.path, raw, scratch, silent, grow=False)
    disk = _Disk(raw, metadata, table, scratch)
    command_line = " ".join([*_devices(disk), "ro", "console=ttyS0", SAME_ADDRESSES, *arguments.split()])
    release = _kernel_release(disk)
    systemd = _systemd_boot(scratch)
    kernel = _unified_kernel(disk, release, command_line, systemd / "linuxx64.efi.stub")
    name, esp = KERNEL.format(release=release), disk.filesystem("/boot/efi")
    _with_kernel(esp, scratch, {name: kernel, **_loaders(systemd / "systemd-bootx64.efi")})
    entry = BootEntry("uki-standalone", f"/boot/efi/{name}", command_line, release)
    _write(place / f"{version}.cosi", disk, {"/boot/efi": esp}, Bootloader("systemd-boot", (entry,)))
    subprocess.run(["rm", "-r", scratch], check=True)
    return replace(image_in(place, version), version=source.version)


@dataclass(frozen=True)
class _Disk:
    """An unpacked image, and a folder for what is taken from it."""

    raw: Path
    metadata: Metadata
    table: gpt.Table
    scratch: Path

    def number(self, image: ImageFile) -> int:
        """The partition that an image goes onto."""
        return next(each.number for each in self.metadata.partition_regions() if each.image == image and each.number)

    def mounted_at(self, mount_point: str) -> Filesystem:
        """What is mounted somewhere."""
        return next(each for each in self.metadata.images if each.mount_point == mount_point)

    def part(self, image: ImageFile) -> Path:
        """The content of a partition, in a file of its own."""
        number, size = self.number(image), image.uncompressed_size
        target = self.scratch / f"partition-{number}.raw"
        start = self.table.offset(self.table.partition(number))
        where = [f"skip={start}", f"count={size}", "iflag=skip_bytes,count_bytes"]
        if not target.exists():
            command = ["dd", f"if={self.raw}", f"of={target}", *where, "bs=4M", "conv=sparse", "status=none"]
            subprocess.run(command, check=True)
        return target

    def filesystem(self, mount_point: str) -> Path:
        """That of what is mounted somewhere."""
        return self.part(self.mounted_at(mount_point).image)

    def debugfs(self, request: str, path: str, *target: Path) -> str:
        """Have debugfs do something with a file of the system, wherever it lies."""
        points = [each.mount_point for each in self.metadata.images if path.startswith(each.mount_point)]
        point = max(points, key=len)
        words = " ".join(map(str, (request, f"/{path.removeprefix(point).lstrip('/')}", *target)))
        return _said("debugfs", "-R", words, self.filesystem(point))


def _devices(disk: _Disk) -> Iterator[str]:
    """What the kernel is told of the root, and of what verity protects."""
    root = disk.mounted_at("/")
    # systemd would make a directory for the ESP in a root that cannot change.
    yield "root=/dev/mapper/root systemd.gpt_auto=0" if root.verity else f"root=UUID={root.fs_uuid}"
    for each in disk.metadata.images:
        if each.verity:
            name = "root" if each is root else "usr"
            yield f"rd.systemd.verity=1 {name}hash={each.verity.roothash}"
            yield f"systemd.verity_{name}_data=UUID={each.fs_uuid}"
            yield f"systemd.verity_{name}_hash=UUID={_uuid(disk.part(each.verity.image))}"
            yield f"systemd.verity_{name}_options=restart-on-corruption"
            yield from ["mount.usr=/dev/mapper/usr", "mount.usrflags=ro"] if name == "usr" else []


def _uuid(filesystem: Path) -> str:
    return _said("blkid", "-p", "-s", "UUID", "-o", "value", filesystem).strip()


def _said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _kernel_release(disk: _Disk) -> str:
    found = re.search(r"/vmlinuz-([^/]+)/", disk.debugfs("ls -p", "/boot"))
    assert found
    return found[1]


def _systemd_boot(scratch: Path) -> Path:
    """The folder with systemd-boot and the stub of unified kernels, out of the stand-in distribution."""
    package = next(RPMS.glob("systemd-boot-*.rpm"))
    archive = subprocess.run(["rpm2cpio", package], check=True, capture_output=True).stdout
    subprocess.run(["cpio", "-id", "--quiet", f"*{_BOOT}/*"], input=archive, cwd=scratch, check=True)
    return scratch / _BOOT


def _unified_kernel(disk: _Disk, release: str, command_line: str, stub: Path) -> Path:
    """The stub with the parts of a kernel as sections behind its own (systemd-stub(7))."""
    parts = {name: disk.scratch / name for name in ("osrel", "cmdline", "linux", "initrd")}
    parts["cmdline"].write_text(command_line)
    for name, path in (
        ("osrel", "/usr/lib/os-release"), ("linux", f"/boot/vmlinuz-{release}"),
        ("initrd", f"/boot/initramfs-{release}.img"),
    ):  # fmt: skip
        disk.debugfs("dump", path, parts[name])
        assert parts[name].stat().st_size, path
    table = _said("objdump", "-h", stub)
    sections = re.findall(r"^ *[0-9]+ \S+ +([0-9a-f]+) +([0-9a-f]+) ", table, re.MULTILINE)
    address = max(int(start, 16) + int(size, 16) for size, start in sections)
    options: list[str | Path] = []
    for name, part in parts.items():
        address = (address + 0xFFF) & ~0xFFF
        options += ["--add-section", f".{name}={part}", "--change-section-vma", f".{name}={address:#x}"]
        address += part.stat().st_size
    target = disk.scratch / "kernel.efi"
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
    fat.make(esp, esp.stat().st_size, volume_id=_uuid(esp), tree=tree)


def _write(path: Path, disk: _Disk, replaced: dict[str, Path], loader: Bootloader) -> None:
    """A COSI file of a disk, with other filesystems at some mount points."""
    with disk.raw.open("rb") as file:
        head = file.read(len(gpt.primary_bytes(disk.table)))
    plan = cosi_plan(disk.metadata, disk.table, disk.raw, head, path.stem, str(path))
    partitions = {each.number: each for each in plan.partitions}
    for mount_point, image in replaced.items():
        number = disk.number(disk.mounted_at(mount_point).image)
        partitions[number] = PartitionImage(number, FileRegion(image, 0, image.stat().st_size))
    write_cosi(path, replace(plan, partitions=tuple(partitions.values()), bootloader=loader), level=1)
