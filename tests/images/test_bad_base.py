"""Base images that cannot be used: a clear error, and nothing left behind."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images.synthetic import ESP_TYPE, MIB, ROOT_UUID, Part, make_disk, make_tree, small_base
from tests.images.workplace import Workplace

pytestmark = pytest.mark.images

Make = Callable[[Path, Path], Path]


def _file(content: bytes) -> Make:
    def make(_small: Path, directory: Path) -> Path:
        (directory / "base").write_bytes(content)
        return directory / "base"

    return make


def _missing(_small: Path, directory: Path) -> Path:
    return directory / "missing"


def _directory(_small: Path, directory: Path) -> Path:
    return directory


def _pipe(_small: Path, directory: Path) -> Path:
    os.mkfifo(directory / "base")
    return directory / "base"


def _tar(_small: Path, directory: Path) -> Path:
    (directory / "file").write_bytes(os.urandom(100_000))
    subprocess.run(["tar", "-C", directory, "-cf", directory / "base", "file"], check=True)
    return directory / "base"


def _no_table(_small: Path, directory: Path) -> Path:
    path = directory / "base"
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    return path


def _mbr(_small: Path, directory: Path) -> Path:
    return make_disk(directory / "base", [Part(16, ext4=make_tree(directory / "tree"))], label="dos")


def _no_root(_small: Path, directory: Path) -> Path:
    (directory / "tree/home").mkdir(parents=True)
    return make_disk(directory / "base", [Part(8, ESP_TYPE), Part(16, ext4=directory / "tree")])


def _no_partitions(_small: Path, directory: Path) -> Path:
    path = _no_table(_small, directory)
    subprocess.run(["sfdisk", "--quiet", path], input="label: gpt\n", text=True, check=True,
                   env=os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})  # fmt: skip
    return path


def _two_roots(_small: Path, directory: Path) -> Path:
    tree = make_tree(directory / "tree")
    return make_disk(directory / "base", [Part(32, ext4=tree), Part(32, ext4=tree)])


def _edited(edit: Callable[[Path], object]) -> Make:
    return lambda _small, directory: small_base(directory / "base", edit)


def _fstab(line: str) -> Make:
    return _edited(lambda root: (root / "etc/fstab").write_text(f"UUID={ROOT_UUID} / ext4 defaults 0 1\n{line}\n"))


def _foreign(root: Path) -> None:
    for shell in ("sh", "dash"):
        (root / "usr/bin" / shell).unlink()
    # The header of an ELF program for aarch64 (e_machine 183).
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (183).to_bytes(2, "little")
    (root / "usr/bin/sh").write_bytes(header + bytes(44))


def _no_shell(root: Path) -> None:
    for shell in ("sh", "dash"):
        (root / "usr/bin" / shell).unlink()


def _backed(small: Path, directory: Path) -> Path:
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", small, "-F", "raw", directory / "base"], check=True
    )
    return directory / "base"


def _vmdk(small: Path, directory: Path) -> Path:
    subprocess.run(["qemu-img", "convert", "-O", "vmdk", small, directory / "base"], check=True)
    return directory / "base"


def _vhd_by_geometry(small: Path, directory: Path) -> Path:
    subprocess.run(["qemu-img", "convert", "-O", "vpc", small, directory / "base"], check=True)
    return directory / "base"


CASES: dict[str, tuple[Make, list[str]]] = {
    "missing": (_missing, ["missing: the image file does not exist"]),
    "directory": (_directory, ["this is not a file"]),
    "pipe": (_pipe, ["this is not a file"]),
    "empty": (_file(b""), ["the image file is empty (0 bytes)"]),
    "text": (_file(b"os:\n  hostname: x\n"), ["does not contain a GPT partition table"]),
    "long text": (_file(b"once upon a time\n" * 100_000), ["does not contain a GPT partition table"]),
    "picture": (_file(b"\x89PNG\r\n\x1a\n" + bytes(50_000)), ["does not contain a GPT partition table"]),
    "compressed": (_file(b"\x1f\x8b\x08" + b"0123456789" * 10_000), ["does not contain a GPT partition table"]),
    "tar": (_tar, ["does not contain a GPT partition table"]),
    "zeros": (_no_table, ["does not contain a GPT partition table"]),
    "MBR": (_mbr, ["MBR"]),
    "no partitions": (_no_partitions, ["the image has no root filesystem"]),
    "no root": (_no_root, ["no partition holds /etc/fstab", "2: ext4"]),
    "two roots": (_two_roots, ["2 partitions hold an /etc/fstab"]),
    "no partition of that UUID": (_fstab("UUID=dead-beef /data ext4 defaults 0 2"), ["UUID=dead-beef at /data"]),
    "device name": (_fstab("/dev/sda3 /data ext4 defaults 0 2"), ["/dev/sda3 at /data", "PARTUUID="]),
    "mount point leads out": (_fstab("UUID=ABCD-1234 /../../etc vfat defaults 0 2"), ["/../../etc"]),
    "mount point is the parent": (_fstab("UUID=ABCD-1234 /.. vfat defaults 0 2"), ["/.."]),
    "mount point is relative": (_fstab("UUID=ABCD-1234 boot vfat defaults 0 2"), ["boot"]),
    "mount point used twice": (_fstab("UUID=ABCD-1234 / vfat defaults 0 2"), ["/etc/fstab", "twice"]),
    "backing file": (_backed, ["the image needs another file", "qemu-img convert"]),
    "vmdk": (_vmdk, ["images of format 'vmdk' cannot be used"]),
    "foreign": (_edited(_foreign), ["the base image is for arm64, this host is"]),
    "no shell": (_edited(_no_shell), ["architecture of the base image cannot be told"]),
    "unknown distribution": (
        _edited(lambda root: (root / "etc/os-release").write_text("ID=plan9\n")),
        ["a distribution that twinroot does not know: plan9"],
    ),
    "no os-release": (_edited(lambda root: (root / "etc/os-release").unlink()), ["without /etc/os-release"]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "says"), CASES.values(), ids=CASES)
def test_unusable_base(make: Make, says: list[str], small: Path, place: Workplace, tmp_path: Path) -> None:
    directory = tmp_path / "base"
    directory.mkdir()
    base = make(small, directory)
    place.fails(base, says=[str(base), *says])


@pytest.mark.parametrize("part", [0.001, 0.5, 0.97])
@pytest.mark.parametrize("kind", ["raw", "qcow2", "vpc", "vhdx"])
def test_truncated_base(kind: str, part: float, small: Path, place: Workplace, tmp_path: Path) -> None:
    """Wherever the file is cut, it is refused: qemu itself reads zeros for what lies behind its end."""
    base = tmp_path / "base"
    options = ["-o", "force_size=on"] if kind == "vpc" else []
    subprocess.run(["qemu-img", "convert", "-O", kind, *options, small, base], check=True)
    if kind == "raw":
        shutil.copyfile(small, base)
    os.truncate(base, int(base.stat().st_size * part))
    place.fails(base, says=[f"{base}: ", "cut off", "download or copy it again"])


@pytest.mark.parametrize("kind", ["raw", "qcow2", "vpc", "vhdx"])
@pytest.mark.parametrize("length", [1, 100, 513, 1024, 70_000, 300_000])
def test_only_the_beginning_of_a_base(kind: str, length: int, small: Path, place: Workplace, tmp_path: Path) -> None:
    """What describes the data is cut off itself; of a raw disk's first sectors nothing tells that there was more."""
    base = tmp_path / "base"
    subprocess.run(["qemu-img", "convert", "-O", kind, small, base], check=True)
    os.truncate(base, length)
    unknown = length == 1 or (kind == "raw" and length < 70_000)
    says = "was it transferred completely?" if unknown else "cut off"
    place.fails(base, says=[f"{base}: ", says, f"{length} bytes" if unknown else "download or copy it again"])


def test_raw_base_that_ends_with_its_last_partition(small: Path, place: Workplace, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copyfile(small, base)
    os.truncate(base, base.stat().st_size - MIB)
    place.fails(base, says=[f"{base}: the image is cut off", "download or copy it again"])


def test_compressed_base_that_is_cut_off(small: Path, place: Workplace, tmp_path: Path) -> None:
    """qemu-img tells where it could not read, among its progress."""
    base = tmp_path / "base"
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", small, base], check=True)
    os.truncate(base, base.stat().st_size // 2)
    place.fails(base, says=[f"{base}: ", "cut off", "qemu-img says: error while reading at byte", "copy it again"])


_ESP, _ROOT = MIB, 9 * MIB  # where they begin in the small base


def _overwritten(*places: tuple[int, bytes]) -> Callable[[Path], None]:
    def damage(base: Path) -> None:
        with base.open("r+b") as disk:
            for offset, data in places:
                disk.seek(offset)
                disk.write(data)

    return damage


def _inode(path: str) -> Callable[[Path], None]:
    """Nonsense in place of the inode of a file or directory of the root filesystem."""

    def damage(base: Path) -> None:
        def ask(command: str) -> str:
            argv = ["/usr/sbin/debugfs", "-R", command, f"{base}?offset={_ROOT}"]
            return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

        place = re.search(r"located at block (\d+), offset 0x([0-9a-f]+)", ask(f"imap {path}"))
        size = re.search(r"Block size: +(\d+)", ask("stats -h"))
        assert place and size
        _overwritten((_ROOT + int(place[1]) * int(size[1]) + int(place[2], 16), bytes(range(128))))(base)

    return damage


_DAMAGED = ["the ext4 filesystem of partition 2 is damaged (e2fsck: ", "e2fsck -f 'COPY?offset=9437184'"]
DAMAGES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    # libblkid of util-linux 2.41 recognises neither of these two.
    "superblock": (_overwritten((_ROOT + 1024, b"\xaa" * 56)), ["damaged"]),
    "its checksum": (_overwritten((_ROOT + 2044, b"wrong"[:4])), ["damaged"]),
    "group descriptors": (_overwritten((_ROOT + 2048, b"\xaa" * 2048), (_ROOT + 4096, b"\xaa" * 2048)), _DAMAGED),
    "inode of the root": (_inode("<2>"), _DAMAGED),
    "inode of fstab": (_inode("/etc/fstab"), _DAMAGED),
    "inode of the shell": (_inode("/usr/bin/dash"), _DAMAGED),
    "inode of a file": (_inode("/boot/vmlinuz-6.1.0"), _DAMAGED),
    "no superblock": (_overwritten((_ROOT + 1024, bytes(1024))), ["2: unformatted", "damaged"]),
    "boot sector of the ESP": (_overwritten((_ESP, bytes(512))), ["none is recognised in partition 1 ('esp')"]),
    "content of the ESP": (
        _overwritten((_ESP + 512, random.Random(1).randbytes(8 * MIB - 1024))),
        ["the vfat filesystem of partition 1, mounted at /boot/efi, cannot be read", "it may be damaged"],
    ),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_base(
    damage: Callable[[Path], None], says: list[str], small: Path, place: Workplace, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copyfile(small, base)
    damage(base)
    place.fails(base, says=[f"{base}: ", *says])


def test_mount_point_that_is_a_file(place: Workplace, tmp_path: Path) -> None:
    base = _fstab("UUID=ABCD-1234 /etc/hostname vfat defaults 0 2")(tmp_path, tmp_path)
    place.fails(base, says=["the mount point /etc/hostname is not a directory"])


@pytest.mark.parametrize("kind", ["vpc", "vhdx", "qcow2"])
def test_file_cut_within_its_last_block(kind: str, small: Path, place: Workplace, tmp_path: Path) -> None:
    base = tmp_path / "base"
    options = ["-o", "force_size=on"] if kind == "vpc" else []
    subprocess.run(["qemu-img", "convert", "-O", kind, *options, small, base], check=True)
    os.truncate(base, base.stat().st_size - 4096)
    place.fails(base, says=[str(base), "the image is cut off: its data goes up to", "download or copy it again"])
