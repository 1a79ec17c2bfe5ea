"""`os.overlays`: lines of /etc/fstab, directories, and what the initramfs gets."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from twinroot.config.image.overlays import Overlay
from twinroot.customize.overlays import apply_overlays, label_rules, overlay_line, with_overlays
from twinroot.distro.distro import recognise
from twinroot.errors import InputError

AZURE = recognise({"ID": "azurelinux", "VERSION_ID": "3.0"})
DEBIAN = recognise({"ID": "debian", "VERSION_ID": "12"})
FSTAB = "UUID=1 / ext4 defaults 0 1\nUUID=2 /var ext4 defaults,x-initrd.mount 0 2\nUUID=3 /data ext4 ro 0 2\n"


def overlay(**given: Any) -> Overlay:
    usual = {"mount_point": "/etc", "lower_dirs": ("/etc",), "upper_dir": "/var/u", "work_dir": "/var/w"}
    return Overlay(**(usual | given))


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, "lowerdir=/etc,upperdir=/var/u,workdir=/var/w"),
        ({"lower_dirs": ("/a", "/b")}, "lowerdir=/a:/b,upperdir=/var/u,workdir=/var/w"),
        (
            {"mount_dependencies": ("/var", "/data"), "mount_options": "noatime,ro"},
            "lowerdir=/etc,upperdir=/var/u,workdir=/var/w,x-systemd.requires=/var,x-systemd.requires=/data,noatime,ro",
        ),
        (
            {"is_initrd_overlay": True, "lower_dirs": ("/a", "/b"), "mount_dependencies": ("/var",)},
            "lowerdir=/sysroot/a:/sysroot/b,upperdir=/sysroot/var/u,workdir=/sysroot/var/w,"
            "x-systemd.requires=/sysroot/var,x-initrd.mount,x-systemd.wanted-by=initrd-fs.target",
        ),
    ],
)
def test_line(given: dict[str, Any], options: str) -> None:
    assert overlay_line(overlay(**given)) == f"overlay /etc overlay {options} 0 0\n"


def test_lines_are_appended_in_order_and_once() -> None:
    both = [overlay(), overlay(mount_point="/srv")]
    text = with_overlays(FSTAB.rstrip(), both)
    assert text == FSTAB + overlay_line(both[0]) + overlay_line(both[1])
    assert with_overlays(text, both) == text


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        (FSTAB, {"is_initrd_overlay": True, "mount_dependencies": ("/var", "/data")}, "depends on /data"),
        (FSTAB, {"is_initrd_overlay": True, "mount_dependencies": ("/nowhere",)}, "depends on /nowhere"),
        ("overlay /etc/ overlay lowerdir=/x 0 0\n", {}, "mounts another overlay at /etc already"),
    ],
)
def test_what_cannot_be(text: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_overlays(text, [overlay(**given)])


def test_a_late_overlay_may_depend_on_anything() -> None:
    assert "x-systemd.requires=/data" in with_overlays(FSTAB, [overlay(mount_dependencies=("/data",))])


@pytest.mark.parametrize(("upper", "warned"), [("/var/u", False), ("/u", True)])
def test_a_read_only_root_is_warned_of(
    upper: str, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text(FSTAB)
    with caplog.at_level(logging.WARNING):
        apply_overlays(tmp_path, [overlay(is_initrd_overlay=True, upper_dir=upper)], AZURE)
    assert bool(caplog.records) is warned


def test_files_for_dracut(tmp_path: Path) -> None:
    (tmp_path / "var").symlink_to("/../elsewhere")
    apply_overlays(tmp_path, [overlay()], AZURE)
    assert (tmp_path / "etc/dracut.conf.d/overlay.conf").read_text() == 'add_drivers+=" overlay "\n'
    assert (tmp_path / "etc/fstab").read_text() == overlay_line(overlay())
    assert (tmp_path / "elsewhere/u").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "elsewhere/w").is_dir()
    assert not (tmp_path / "etc/initramfs-tools").exists()


def test_nothing_for_no_overlay(tmp_path: Path) -> None:
    apply_overlays(tmp_path, [], AZURE)
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["fstab"]


@pytest.mark.parametrize("early", [False, True])
def test_files_for_initramfs_tools(early: bool, tmp_path: Path) -> None:
    (tmp_path / "etc/initramfs-tools").mkdir(parents=True)
    (tmp_path / "etc/initramfs-tools/modules").write_text("# overlay\nloop\n")
    for _ in range(2):
        apply_overlays(tmp_path, [overlay(is_initrd_overlay=early)], DEBIAN)
    assert (tmp_path / "etc/initramfs-tools/modules").read_text() == "# overlay\nloop\noverlay\n"
    script = tmp_path / "etc/initramfs-tools/scripts/init-bottom/twinroot-initrd-mounts"
    assert script.exists() is early
    assert not early or os.access(script, os.X_OK)


# In place of what initramfs-tools has in /scripts/functions. The directories of a real image are on the partition that
# is mounted; here it is an empty tmpfs.
FUNCTIONS = """
resolve_device() { echo "$1"; }
panic() { echo "$1" >&2; exit 1; }
modprobe() { :; }
mount() { command mount "$@" && mkdir -p "$rootmnt/var/u" "$rootmnt/var/w"; }
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_script_mounts_what_is_marked(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("etc", "a b", "var", "late"):
        (root / name).mkdir(parents=True)
    (root / "etc/fstab").write_text(
        "# x /y tmpfs x-initrd.mount\n"
        "tmpfs /var tmpfs defaults,size=1M,x-initrd.mount 0 0\n"
        "tmpfs /a\\040b tmpfs x-initrd.mount\n"
        "tmpfs /late tmpfs defaults 0 0\n"
    )
    (root / "etc/below").touch()
    apply_overlays(root, [overlay(is_initrd_overlay=True, mount_dependencies=("/var",))], DEBIAN)
    script = (root / "etc/initramfs-tools/scripts/init-bottom/twinroot-initrd-mounts").read_text()
    (tmp_path / "script").write_text(script.replace(". /scripts/functions\n", FUNCTIONS))
    shown = f"sh -e {tmp_path}/script && touch {root}/etc/above && ls {root}/etc {root}/var/u && findmnt -rno TARGET"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", shown], env=os.environ | {"rootmnt": str(root)},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{root}/var/u:\nabove\n" in done.stdout and "\nbelow\n" in done.stdout
    mounted = [line for line in done.stdout.splitlines() if line.startswith(f"{root}/") and ":" not in line]
    assert mounted == [f"{root}/var", f"{root}/a\\x20b", f"{root}/etc"]


def test_labels() -> None:
    subs, local = label_rules([overlay(work_dir="/var/w.d+")])
    assert subs == ["/var/u /etc"]
    assert local == ["/var/w\\.d\\+(/.*)?    system_u:object_r:no_access_t:s0"]
