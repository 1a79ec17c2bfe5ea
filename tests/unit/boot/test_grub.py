"""grub's texts, and the stand-in for grub-probe as a real shell runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.planned import CONFIG, planned_disk

from twinroot.boot import grub_probe
from twinroot.boot.grub import Arguments, render_default_grub, render_stub
from twinroot.distro.distro import recognise
from twinroot.plan.disk import PlannedDisk, mount_path
from twinroot.tools.run import run

AZURE3 = recognise({"ID": "azurelinux", "VERSION_ID": "3.0"}).grub
AZURE4 = recognise({"ID": "azurelinux", "VERSION_ID": "4.0"}).grub
DEBIAN = recognise({"ID": "debian", "VERSION_ID": "12"}).grub


def probe(tmp_path: Path, disk: PlannedDisk, *arguments: str) -> tuple[int, str]:
    script = tmp_path / "grub-probe"
    script.write_text(grub_probe.script(disk))
    result = subprocess.run(["/bin/sh", script, *arguments], capture_output=True, text=True, check=False)
    assert "not found" not in result.stderr
    return result.returncode, result.stdout.strip()


# How Debian's grub-mkconfig, its library and its snippets, and Fedora's, call it.
FORMS = [
    (("--target=device", "/"), "/dev/twinroot3"),
    (("--target=device", "/boot"), "/dev/twinroot2"),
    (("--target=device", "/boot/grub/fonts/unicode.pf2"), "/dev/twinroot2"),
    (("--target=device", "/usr/share/grub/unicode.pf2"), "/dev/twinroot3"),
    (("--device", "/dev/twinroot3", "--target=fs_uuid"), "ROOT"),
    (("--device", "/dev/twinroot2", "--target=fs_uuid"), "BOOT"),
    (("--target=fs_uuid", "--device", "/dev/twinroot2"), "BOOT"),
    (("--device", "/dev/twinroot3", "--target=partuuid"), "ROOTPART"),
    (("--device", "/dev/twinroot3", "--target=fs"), "ext2"),
    (("--device", "/dev/twinroot1", "--target=fs"), "fat"),
    (("--target=fs", "/boot/grub"), "ext2"),
    (("-t", "fs", "/boot/grub"), "ext2"),
    (("-t", "fs", "/boot/efi/EFI/x"), "fat"),
    (("-t", "abstraction", "/boot/grub"), ""),
    (("-t", "drive", "/boot/grub"), "(hd0,gpt2)"),
    (("--target=abstraction", "/boot/grub"), ""),
    (("--device", "/dev/twinroot2", "--target=abstraction"), ""),
    (("--device", "/dev/twinroot2", "--target=partmap"), "gpt"),
    (("--device", "/dev/twinroot2", "--target=cryptodisk_uuid"), ""),
    (("--device", "/dev/twinroot2", "--target=compatibility_hint"), "hd0,gpt2"),
    (("--device", "/dev/twinroot2", "--target=drive"), "(hd0,gpt2)"),
    (("--device", "/dev/twinroot2", "--target=fs_label"), ""),
    (("--target", "device", "/boot"), "/dev/twinroot2"),
    (("/boot",), "/dev/twinroot2"),
]


@pytest.mark.parametrize(("arguments", "expected"), FORMS)
def test_the_stand_in_for_grub_probe(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    disk = planned_disk(tmp_path)
    root, boot = disk.holding("/"), disk.holding("/boot")
    assert root.filesystem and boot.filesystem
    meant = {"ROOT": root.filesystem.uuid, "BOOT": boot.filesystem.uuid, "ROOTPART": str(root.entry.uuid)}
    assert probe(tmp_path, disk, *arguments) == (0, meant.get(expected, expected))


def test_hints_name_the_partition(tmp_path: Path) -> None:
    code, hints = probe(tmp_path, planned_disk(tmp_path), "--device", "/dev/twinroot2", "--target=hints_string")
    assert code == 0 and "--hint-efi=hd0,gpt2" in hints.split()


@pytest.mark.parametrize("arguments", [("--target=device", "/dev/sda"), ("--target=nonsense", "/"), ("--target=fs",)])
def test_what_is_not_known_is_an_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert probe(tmp_path, planned_disk(tmp_path), *arguments) == (1, "")


def test_odd_mount_points_stay_words(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path, CONFIG.replace("/var/lib/data", "/it's;$(id)/*"))
    assert probe(tmp_path, disk, "--target=device", "/it's;$(id)/*/x") == (0, "/dev/twinroot5")
    assert probe(tmp_path, disk, "--target=device", "/it's;$(id)/other") == (0, "/dev/twinroot3")


def test_disk_links(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path)
    links = grub_probe.disk_links(disk)
    for partition in disk.mounted:
        assert partition.filesystem is not None
        assert links[f"by-uuid/{partition.filesystem.uuid}"] == f"/dev/twinroot{partition.entry.number}"
        assert links[f"by-partuuid/{partition.entry.uuid}"] == f"/dev/twinroot{partition.entry.number}"
    assert len(links) == 2 * len(disk.mounted)


def sourced(tmp_path: Path, text: str) -> dict[str, str]:
    """The variables of a /etc/default/grub as a real shell has them."""
    path = tmp_path / "grub"
    path.write_text(text)
    names = 'for n in $(set | sed -n "s/^\\(GRUB_[A-Z_]*\\)=.*/\\1/p")'
    script = f'set -e; . "{path}"; {names}; do eval "v=\\$$n"; printf "%s=%s\\n" "$n" "$v"; done'
    result = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


ARGUMENTS = ("rd.info", "name=two words", "dollar=$x`id`", "back=a\\b")
JOINED = 'rd.info name="two words" dollar=$x`id` back=a\\b'


def test_default_grub_of_azure_linux_3(tmp_path: Path) -> None:
    assert sourced(tmp_path, render_default_grub(AZURE3, Arguments(usual=ARGUMENTS))) == {
        "GRUB_TIMEOUT": "0",
        "GRUB_DISTRIBUTOR": "AzureLinux",
        "GRUB_DISABLE_SUBMENU": "y",
        "GRUB_TERMINAL_OUTPUT": "console",
        "GRUB_CMDLINE_LINUX": "rd.auto=1 net.ifnames=0 lockdown=integrity",
        "GRUB_CMDLINE_LINUX_DEFAULT": JOINED + " $kernelopts",
    }
    assert "/etc/default/grub.d/*.cfg" in render_default_grub(AZURE3, Arguments())


def test_arguments_of_every_entry(tmp_path: Path) -> None:
    found = sourced(tmp_path, render_default_grub(AZURE3, Arguments(every=("security=selinux", "selinux=1"))))
    assert found["GRUB_CMDLINE_LINUX"] == "security=selinux selinux=1 rd.auto=1 net.ifnames=0 lockdown=integrity"


def test_default_grub_of_azure_linux_4(tmp_path: Path) -> None:
    """Image behaviour spec, section 16: the console is no matter of recovery entries."""
    found = sourced(tmp_path, render_default_grub(AZURE4, Arguments(usual=ARGUMENTS)))
    assert found["GRUB_CMDLINE_LINUX"] == ""
    assert found["GRUB_CMDLINE_LINUX_DEFAULT"] == "console=ttyS0 earlyprintk=ttyS0 rd.shell=0 " + JOINED
    assert (found["GRUB_TIMEOUT"], found["GRUB_ENABLE_BLSCFG"], found["GRUB_DEFAULT"]) == ("1", "true", "saved")


@pytest.mark.parametrize(("facts", "expected"), [(AZURE3, "$kernelopts"), (DEBIAN, "")])
def test_default_grub_without_arguments(tmp_path: Path, facts: object, expected: str) -> None:
    from twinroot.distro.distro import GrubFacts

    assert isinstance(facts, GrubFacts)
    assert sourced(tmp_path, render_default_grub(facts, Arguments()))["GRUB_CMDLINE_LINUX_DEFAULT"] == expected


def test_stub(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path)
    boot, root = disk.mount_of("/boot/grub2"), disk.mount_of("/")
    assert boot.partition.filesystem and mount_path(boot.partition) == "/boot"
    assert render_stub(boot, AZURE3) == (
        f"search --no-floppy --fs-uuid --set=root {boot.partition.filesystem.uuid}\n"
        'set prefix=($root)"/grub2"\n'
        "configfile $prefix/grub.cfg\n"
    )
    assert 'set prefix=($root)"/boot/grub"\n' in render_stub(root, DEBIAN)


BTRFS = """
previewFeatures: [btrfs]
storage:
  bootType: efi
  disks:
    - {partitionTableType: gpt, maxSize: 1G, partitions: [{id: esp, type: esp, size: 16M}, {id: os, size: grow}]}
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
    - deviceId: os
      type: btrfs
      btrfs:
        subvolumes:
          - {path: root, mountPoint: /}
          - {path: "root/it's home", mountPoint: {path: /home, options: noatime}}
os: {bootloader: {resetType: hard-reset}}
"""


def test_subvolumes_are_part_of_paths_that_grub_reads(tmp_path: Path) -> None:
    disk = planned_disk(tmp_path, BTRFS)
    assert 'set prefix=($root)"/root/boot/grub"\n' in render_stub(disk.mount_of("/boot/grub"), DEBIAN)
    program = tmp_path / "grub-mkrelpath"
    program.write_text(grub_probe.relative_path_script(disk))
    for path, expected in (("/", "/root"), ("/boot/grub", "/root/boot/grub"), ("/home/x", "/root/it's home/x"),
                           ("/boot/efi/EFI", "/EFI"), ("/boot/efi", "/"), ("/home", "/root/it's home")):  # fmt: skip
        assert run(["sh", program, path]).stdout == f"{expected}\n"
    assert probe(tmp_path, disk, "--target=fs", "/home") == (0, "btrfs")
