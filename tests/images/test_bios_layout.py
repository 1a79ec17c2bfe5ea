"""A layout for BIOS machines where the base has no grub for them: the host's is used, or the error says what to do."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.images.synthetic import MIB, small_base
from tests.images.workplace import Workplace

pytestmark = pytest.mark.images
MODULES = Path("/usr/lib/grub/i386-pc")
CONFIG = """\
storage:
  bootType: legacy
  disks:
    - partitionTableType: gpt
      maxSize: 200M
      partitions: [{id: bios, type: bios-grub, size: 1M}, {id: root, size: grow}]
  filesystems: [{deviceId: root, type: ext4, mountPoint: /}]
os: {bootloader: {resetType: hard-reset}}
"""


WITH_ESP = CONFIG.replace("{id: root, size: grow}", "{id: root, size: 150M}, {id: esp, type: esp, size: 8M}").replace(
    "mountPoint: /}]", "mountPoint: /}, {deviceId: esp, type: fat32, mountPoint: /boot/efi}]"
)


@pytest.mark.skipif(not (MODULES / "boot.img").exists(), reason="the host has no grub-pc-bin")
@pytest.mark.parametrize("config", [CONFIG, WITH_ESP], ids=["alone", "with an ESP"])
def test_the_hosts_grub_helps_out(small: Path, place: Workplace, config: str) -> None:
    done = place.run(small, config)
    assert done.code == 0, done.stderr
    assert "WARN" in done.stderr and "grub-pc-bin" in done.stderr and "this host's is used" in done.stderr
    disk = place.out / "image"
    with disk.open("rb") as file:
        sector = file.read(512)
        file.seek(MIB)
        core = file.read(MIB)
    boot = (MODULES / "boot.img").read_bytes()
    assert sector[:0x5C] == boot[:0x5C] and sector[0x68:440] == boot[0x68:440]
    assert struct.unpack_from("<Q", sector, 0x5C) == (2048,) and sector[510:] == b"\x55\xaa"
    first, count, segment = struct.unpack_from("<QHH", core, 500)
    assert (first, segment) == (2049, 0x820) and 20 < count < 2047
    assert any(core[512 * count : 512 * (count + 1)]) and not any(core[512 * (count + 1) :])
    listing = subprocess.run(
        ["debugfs", "-R", "ls -p /boot/grub/i386-pc", f"{disk}?offset={2 * MIB}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in ("normal.mod", "ext2.mod", "moddep.lst"):
        assert f"/{name}/" in listing
    assert "kernel.img" not in listing
    for path, mode in (("/boot/grub", "0700"), ("/boot/grub/i386-pc", "0700"), ("/boot/grub/grub.cfg", "0600")):
        shown = subprocess.run(
            ["debugfs", "-R", f"stat {path}", f"{disk}?offset={2 * MIB}"], capture_output=True, text=True, check=True
        )
        assert re.search(rf"Mode: +{mode}\b", shown.stdout), shown.stdout
    parts = subprocess.run(["sfdisk", "--verify", disk], capture_output=True, text=True, check=True)
    assert "No errors detected" in parts.stdout


def test_without_any_grub(small: Path, place: Workplace, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for directory in ("/usr/bin", "/usr/sbin"):
        for program in Path(directory).iterdir():
            if not program.name.endswith("-mkimage") and not (tools / program.name).exists():
                (tools / program.name).symlink_to(program)
    env = {"TWINROOT_TOOL_PATH": str(tools)}
    place.fails(small, CONFIG, env=env, says=["has no grub for BIOS machines", "os.packages.install: grub-pc-bin"])


def test_links_among_the_modules_lead_nowhere(tmp_path: Path, place: Workplace) -> None:
    def edit(root: Path) -> None:
        modules = root / "usr/lib/grub/i386-pc"
        modules.mkdir(parents=True)
        for name in ("boot.img", "diskboot.img", "kernel.img", "moddep.lst"):
            (modules / name).write_bytes(b"x" * 512)
        (modules / "evil.mod").symlink_to("/etc/passwd")
        shutil.copy("/usr/bin/ln", root / "usr/bin/ln")
        for library in re.findall(r"(/\S+)", subprocess.check_output(["ldd", "/usr/bin/ln"], text=True)):
            (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library.lstrip("/"))
        (root / "etc/passwd").mkdir()
        program = root / "usr/bin/grub-mkimage"
        program.write_text("#!/bin/sh\nln -s /etc/passwd /run/twinroot/bios/core.img\n")
        program.chmod(0o755)

    base = small_base(tmp_path / "hostile.raw", edit)
    said = place.fails(base, CONFIG, says=["passwd is not a plain file"])
    assert "root:x" not in said
