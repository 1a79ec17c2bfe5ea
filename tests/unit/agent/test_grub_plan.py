"""grub's files for a newly written root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from twinroot.agent.boot import trial
from twinroot.agent.boot.grub_plan import (
    NETPLAN_SNIPPET,
    GrubTexts,
    KernelTarget,
    Overlay,
    VerityDevice,
    configured,
    settled_arguments,
    with_boot_file_system,
)
from twinroot.agent.boot.grub_target import configure_grub, end_trial, settle_stub
from twinroot.agent.errors import ServicingError
from twinroot.boot.entry_file import options
from twinroot.boot.grub_script import kernel_lines

UUID = "01234567-89ab-cdef-0123-456789abcdef"
CONFIG = """\
set timeout=0
menuentry 'Linux' {
    search --no-floppy --fs-uuid --set=root 99999999-89ab-cdef-0123-456789abcdef
    linux /vmlinuz-6.6 root=UUID=99999999-89ab-cdef-0123-456789abcdef ro selinux=0 quiet $kernelopts
    initrd /initrd
}
menuentry 'Linux (recovery mode)' {
    linux /vmlinuz-6.6 root=UUID=99999999-89ab-cdef-0123-456789abcdef ro single
}
"""
DEFAULT = 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="root=/dev/old selinux=0"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
BLSCFG = 'set kernelopts="root=/dev/old ro"\nblscfg\n'
ENTRIES = {
    "/boot/loader/entries/6.6.conf": "title Linux\nlinux /vmlinuz-6.6\noptions root=/dev/old ro\n",
    "/boot/loader/entries/a-rescue.conf": "title Linux (rescue)\nlinux /vmlinuz\noptions root=/dev/old single\n",
    "/boot/loader/entries/short.conf": "title Linux\nlinux /vmlinuz-6.5\n",
}
TARGET = KernelTarget("/dev/disk/by-partuuid/x", "enforcing", netplan=True, extra=("console=ttyS0", "a=two words"))


@pytest.mark.parametrize(
    ("target", "names", "arguments"),
    [
        (KernelTarget("/dev/x"), ["root"], ["root=/dev/x"]),
        (
            KernelTarget("/dev/x", "disabled"),
            ["root", "security", "selinux", "enforcing"],
            ["root=/dev/x", "selinux=0"],
        ),
        (
            KernelTarget("/dev/x", "permissive", overlay=Overlay("/", "/u", "/w", "/dev/y")),
            ["root", "security", "selinux", "enforcing", "rd.overlayfs"],
            ["root=/dev/x", "security=selinux", "selinux=1", "rd.overlayfs=/,/u,/w,/dev/y"],
        ),
        (
            KernelTarget("/dev/mapper/root", verity=VerityDevice("root", "/dev/d", "/dev/h", "abc", "panic")),
            [
                "root", "rd.systemd.verity", "roothash", "systemd.verity_root_data", "systemd.verity_root_hash",
                "systemd.verity_root_options",
            ],
            [
                "root=/dev/mapper/root", "rd.systemd.verity=1", "roothash=abc", "systemd.verity_root_data=/dev/d",
                "systemd.verity_root_hash=/dev/h", "systemd.verity_root_options=panic-on-corruption",
            ],
        ),
        (
            KernelTarget("/dev/mapper/root", verity=VerityDevice("root", "/dev/d", "/dev/h", "abc")),
            [
                "root", "rd.systemd.verity", "roothash", "systemd.verity_root_data", "systemd.verity_root_hash",
                "systemd.verity_root_options",
            ],
            [
                "root=/dev/mapper/root", "rd.systemd.verity=1", "roothash=abc", "systemd.verity_root_data=/dev/d",
                "systemd.verity_root_hash=/dev/h",
            ],
        ),
        (
            KernelTarget("/dev/x", verity=VerityDevice("usr", "/dev/d", "/dev/h", "abc", "ignore", options="a,ro")),
            [
                "root", "rd.systemd.verity", "usrhash", "systemd.verity_usr_data", "systemd.verity_usr_hash",
                "systemd.verity_usr_options", "mount.usr", "mount.usrfstype", "mount.usrflags",
            ],
            [
                "root=/dev/x", "rd.systemd.verity=1", "usrhash=abc", "systemd.verity_usr_data=/dev/d",
                "systemd.verity_usr_hash=/dev/h", "systemd.verity_usr_options=ignore-corruption",
                "mount.usr=/dev/mapper/usr", "mount.usrfstype=ext4", "mount.usrflags=a,ro",
            ],
        ),
    ],
)  # fmt: skip
def test_arguments(target: KernelTarget, names: list[str], arguments: list[str]) -> None:
    assert settled_arguments(target) == (tuple(names), tuple(arguments))


def words(config: str) -> list[list[str]]:
    return [[word.value for word in line.arguments] for line in kernel_lines(config)]


def test_kernels_of_grub_cfg() -> None:
    found = configured(GrubTexts(CONFIG, DEFAULT), TARGET)
    root = "root=/dev/disk/by-partuuid/x"
    usual, recovery = words(found.config)
    expected = {root, "ro", "security=selinux", "selinux=1", "quiet", "network-config=disabled", "console=ttyS0"}
    assert set(usual) == {*expected, "a=two words", "$kernelopts", "$trident_trial"}
    assert len(usual) == len(set(usual))
    assert usual[-2:] == ["$kernelopts", "$trident_trial"]
    assert recovery[0] == root or root in recovery
    assert "console=ttyS0" not in recovery
    assert found.config.startswith("set timeout=0\nmenuentry 'Linux' {\n    search")


def test_default_grub_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "grub").write_text(configured(GrubTexts(CONFIG, DEFAULT), TARGET).default)
    script = '. ./grub; echo "$GRUB_DEVICE|$GRUB_CMDLINE_LINUX|$GRUB_CMDLINE_LINUX_DEFAULT"'
    said = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    device, line, default = said.strip().split("|")
    assert device == "/dev/disk/by-partuuid/x"
    assert sorted(line.split()) == ["root=/dev/disk/by-partuuid/x", "security=selinux", "selinux=1"]
    assert default == 'quiet console=ttyS0 a="two words"'


def test_a_second_time_changes_only_what_is_added() -> None:
    target = KernelTarget("/dev/x", "permissive")
    once = configured(GrubTexts(CONFIG, DEFAULT), target)
    assert configured(once, target) == once


def test_entry_files() -> None:
    found = configured(GrubTexts(BLSCFG, "", ENTRIES), TARGET)
    usual, rescue, short = (found.entries[path] for path in ENTRIES)
    assert "root=/dev/disk/by-partuuid/x" in (options(usual) or "")
    assert "console=ttyS0" in (options(usual) or "")
    assert "root=/dev/disk/by-partuuid/x" in (options(rescue) or "")
    assert "console" not in rescue
    assert short == ENTRIES["/boot/loader/entries/short.conf"]
    assert "root=/dev/disk/by-partuuid/x" in found.config
    assert "/dev/old" not in found.config + usual + rescue
    assert (options(usual) or "").count("$trident_trial") == 1
    assert '$trident_trial"\nblscfg\n' in found.config
    assert found.config.startswith('if [ -n "$trident_trial" ]; then\n  menuentry "Restart')
    assert configured(found, TARGET).config.count("set fallback=0") == 1
    assert "trident_trial" not in rescue
    assert configured(found, KernelTarget("/dev/disk/by-partuuid/x")).entries[next(iter(ENTRIES))] == usual


@pytest.mark.parametrize("config", ["", "set timeout=0\n", "menuentry 'recovery' {\n linux /vmlinuz\n}\n", "blscfg\n"])
def test_a_grub_cfg_without_a_kernel_is_an_error(config: str) -> None:
    with pytest.raises(ServicingError, match="loads no kernel"):
        configured(GrubTexts(config), TARGET)


@pytest.mark.parametrize(
    "line",
    [
        "search --no-floppy --fs-uuid --set=root {}\n",
        "search -n -u {} -s\n",
        'search --fs-uuid --set=boot "{}"\n',
        "search.fs_uuid {} root\n",
        "  search --set=root --fs-uuid {} --hint hd0\n",
    ],
)
def test_the_stub(line: str) -> None:
    behind = "set prefix=($root)/boot/grub2\nconfigfile $prefix/grub.cfg\n"
    for old in ("99999999-89ab-cdef-0123-456789abcdef", "1234-ABCD"):
        assert with_boot_file_system(line.format(old) + behind, UUID) == line.format(UUID) + behind


def test_a_stub_that_looks_otherwise_is_an_error() -> None:
    for stub in ("", f"search --label --set=root {UUID}\n", f"# search --fs-uuid {UUID}\n"):
        with pytest.raises(ServicingError, match="does not look for a file system"):
            with_boot_file_system(stub, UUID)
    with pytest.raises(ServicingError, match="is no UUID"):
        with_boot_file_system("search --fs-uuid 1234-ABCD\n", "$(reboot)")


def test_files_of_a_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (root / "boot/grub2").mkdir(parents=True)
    (root / "boot/grub2/grub.cfg").write_text(CONFIG)
    (root / "etc").mkdir()
    (root / "etc/default").symlink_to(outside)  # leads nowhere inside the tree
    configure_grub(root, TARGET)
    assert "by-partuuid" in (root / "boot/grub2/grub.cfg").read_text()
    assert list(outside.iterdir()) == []
    inside = root / str(outside).lstrip("/")
    assert "GRUB_DEVICE" in (inside / "grub").read_text()
    assert (inside / NETPLAN_SNIPPET.removeprefix("/etc/default/")).read_text().endswith('network-config=disabled"\n')


def test_a_root_without_grub_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServicingError, match=r"has no grub\.cfg"):
        configure_grub(tmp_path, TARGET)
    assert list(tmp_path.iterdir()) == []


def test_the_stub_of_a_slot(tmp_path: Path) -> None:
    (tmp_path / "EFI/azlb").mkdir(parents=True)
    stub = tmp_path / "EFI/azlb/GRUB.CFG"
    stub.write_text("search --fs-uuid --set=root 1234-ABCD\n")
    settled = f"search --fs-uuid --set=root {UUID}\n"
    settle_stub(tmp_path, "AZLB", UUID, on_trial=False)
    assert stub.read_text() == settled
    settle_stub(tmp_path, "AZLB", UUID, on_trial=True)
    assert stub.read_text() == trial.on_trial(settled)
    end_trial(tmp_path, "AZLB")
    assert stub.read_text() == settled
    assert list(stub.parent.iterdir()) == [stub]
    with pytest.raises(ServicingError, match=r"no EFI/AZLA/grub\.cfg"):
        settle_stub(tmp_path, "AZLA", UUID, on_trial=True)


def test_a_trial_leads_to_a_restart() -> None:
    """grub passes the arguments on, and starts again itself where it finds nothing to start."""
    stub = "search --fs-uuid --set=root 1234-ABCD\nconfigfile ($root)/boot/grub2/grub.cfg"
    found = trial.on_trial(stub)
    assert found.splitlines()[1:3] == [
        'set trident_trial="trident.trial panic=10 rd.shell=0 rd.emergency=reboot"',
        "export trident_trial",
    ]
    assert found.endswith("\nsleep 5\nreboot\n")
    assert trial.on_trial(found) == found
    assert trial.off_trial(found) == f"{stub}\n"
    assert trial.off_trial(stub) == stub


def test_a_kernel_that_is_missing_on_trial() -> None:
    found = configured(GrubTexts(CONFIG, DEFAULT), TARGET).config
    usual, recovery = [line for line in found.splitlines() if line.strip().startswith("linux")]
    assert usual.endswith(" $trident_trial") and "$trident_trial" not in recovery
    assert found.splitlines()[found.splitlines().index(usual) + 1] == trial.GUARD
    assert configured(GrubTexts(found, DEFAULT), TARGET).config.count(trial.GUARD) == 1


@pytest.mark.skipif(shutil.which("grub-script-check") is None, reason="grub-script-check is not installed")
def test_grub_understands_what_is_written() -> None:
    found = configured(GrubTexts(CONFIG, DEFAULT), TARGET).config
    for text in (found, trial.on_trial("configfile /grub.cfg\n"), trial.with_fallback("blscfg")):
        subprocess.run(["grub-script-check"], input=text, text=True, check=True)
