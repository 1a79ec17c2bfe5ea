"""`base/debian.qcow2`: a small Debian that boots and has apt with the host's sources."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from standin import disk, grubcfg
from standin.debian import bootstrap
from standin.disk import Layout
from standin.packages import DEBIAN, SUITE
from standin.stamp import Stamp, fresh, note
from standin.tree import link, remove, write
from twinroot.units import GIB, MIB

LAYOUT = Layout("debian", disk_size=4 * GIB, esp_size=64 * MIB)
_GRUB_DEFAULTS = """GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="net.ifnames=0 console=ttyS0"
GRUB_TERMINAL=console
GRUB_DISABLE_OS_PROBER=true
"""
_NETWORK = "[Match]\nName=e*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\n"
_LEFT_BEHIND = (
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/.resolv.conf.systemd-resolved.bak",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/alternatives.log",
)


def build(output: Path) -> Path:
    """Make the image unless it is there and made from the same inputs; returns it."""
    target = output / "base/debian.qcow2"
    stamp = Stamp.of(modules=("chroot", "debian", "debian_image", "disk", "grubcfg"), text=[SUITE, *DEBIAN])
    if fresh(target, stamp):
        return target
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".debian-", dir=output) as scratch:
        work = Path(scratch)
        root = work / "root"
        bootstrap(root, DEBIAN, initramfs=True)
        _configure(root)
        grubcfg.make(root, LAYOUT, work, name="grub")
        _boot_loader(root)
        for name in _LEFT_BEHIND:
            remove(root / name)
        disk.make(root, LAYOUT, target, "qcow2", work)
    note(target, stamp)
    return target


def _configure(root: Path) -> None:
    shadow = (root / "etc/shadow").read_text().splitlines()
    shadow = ["root::20000:0:99999:7:::" if line.startswith("root:") else line for line in shadow]
    (root / "etc/shadow").write_text("\n".join(shadow) + "\n")
    write(root, "/etc/fstab", LAYOUT.fstab())
    write(root, "/etc/hostname", "debian\n")
    write(root, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    write(root, "/etc/machine-id", "", 0o444)
    write(root, "/etc/default/grub", _GRUB_DEFAULTS)
    write(root, "/etc/systemd/network/99-dhcp-en.network", _NETWORK)
    units = {
        "getty.target.wants/serial-getty@ttyS0.service": "serial-getty@.service",
        "multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
        "sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
    }
    for name, unit in units.items():
        link(root, f"/etc/systemd/system/{name}", f"/lib/systemd/system/{unit}")


def _boot_loader(root: Path) -> None:
    """shim and GRUB as Debian signs them; this GRUB reads EFI/debian/grub.cfg on the EFI system partition."""
    removable, vendor = root / "boot/efi/EFI/BOOT", root / "boot/efi/EFI/debian"
    for folder, first in ((removable, "BOOTX64.EFI"), (vendor, "shimx64.efi")):
        folder.mkdir(parents=True)
        shutil.copyfile(root / "usr/lib/shim/shimx64.efi.signed", folder / first)
        shutil.copyfile(root / "usr/lib/shim/mmx64.efi.signed", folder / "mmx64.efi")
        shutil.copyfile(root / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", folder / "grubx64.efi")
    (vendor / "grub.cfg").write_text(grubcfg.stub(LAYOUT, "grub"))
