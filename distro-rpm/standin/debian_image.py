"""`base/debian.qcow2` and `base/ubuntu.qcow2`: small systems that boot and have apt with the host's sources."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from standin import disk, grubcfg
from standin.debian import bootstrap
from standin.disk import Layout
from standin.packages import DEBIAN, SUITE, UBUNTU, UBUNTU_SUITE
from standin.stamp import Stamp, fresh, note
from standin.tree import link, remove, write
from twinroot.scratch import locked_folder
from twinroot.units import GIB, MIB


@dataclass(frozen=True)
class System:
    """A system of Debian packages. `name` is also its directory on the EFI system partition."""

    name: str
    suite: str
    components: tuple[str, ...]
    packages: tuple[str, ...]
    shim: str
    """The name of signed shim, below /usr/lib/shim."""
    mok_manager: str
    """The same of what shim enrols keys with."""

    @property
    def layout(self) -> Layout:
        """Its disk."""
        return Layout(self.name, disk_size=4 * GIB, esp_size=64 * MIB)


_DEBIAN = System("debian", SUITE, ("main",), DEBIAN, "shimx64.efi.signed", "mmx64.efi.signed")
_UBUNTU = System("ubuntu", UBUNTU_SUITE, ("main", "universe"), UBUNTU, "shimx64.efi.signed.latest", "mmx64.efi")
_GRUB_DEFAULTS = """GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR={distributor}
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
    """Make the image of Debian 12 unless it is there and made from the same inputs; returns it."""
    return _build(_DEBIAN, output)


def build_ubuntu(output: Path) -> Path:
    """The same of Ubuntu 24.04. Its keyring must be there, as it is on Ubuntu."""
    return _build(_UBUNTU, output)


def _build(system: System, output: Path) -> Path:
    target = output / f"base/{system.name}.qcow2"
    modules = ("chroot", "debian", "debian_image", "disk", "grubcfg")
    stamp = Stamp.of(modules=modules, text=[system.suite, *system.components, *system.packages])
    if fresh(target, stamp):
        return target
    target.parent.mkdir(exist_ok=True)
    with locked_folder(f".{system.name}-", output) as work:
        root = work / "root"
        bootstrap(root, system.packages, initramfs=True, suite=system.suite, components=system.components)
        _configure(root, system)
        grubcfg.make(root, system.layout, work, name="grub")
        _boot_loader(root, system)
        for name in _LEFT_BEHIND:
            remove(root / name)
        disk.make(root, system.layout, target, "qcow2", work)
    note(target, stamp)
    return target


def _configure(root: Path, system: System) -> None:
    shadow = (root / "etc/shadow").read_text().splitlines()
    shadow = ["root::20000:0:99999:7:::" if line.startswith("root:") else line for line in shadow]
    (root / "etc/shadow").write_text("\n".join(shadow) + "\n")
    write(root, "/etc/fstab", system.layout.fstab())
    write(root, "/etc/hostname", f"{system.name}\n")
    write(root, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    write(root, "/etc/machine-id", "", 0o444)
    write(root, "/etc/default/grub", _GRUB_DEFAULTS.format(distributor=system.name.capitalize()))
    write(root, "/etc/systemd/network/99-dhcp-en.network", _NETWORK)
    units = {
        "getty.target.wants/serial-getty@ttyS0.service": "serial-getty@.service",
        "multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
        "sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
    }
    for name, unit in units.items():
        link(root, f"/etc/systemd/system/{name}", f"/lib/systemd/system/{unit}")


def _boot_loader(root: Path, system: System) -> None:
    """shim and GRUB as they are signed; this GRUB reads EFI/NAME/grub.cfg on the EFI system partition."""
    removable, vendor = root / "boot/efi/EFI/BOOT", root / f"boot/efi/EFI/{system.name}"
    for folder, first in ((removable, "BOOTX64.EFI"), (vendor, "shimx64.efi")):
        folder.mkdir(parents=True)
        shutil.copyfile(root / "usr/lib/shim" / system.shim, folder / first)
        shutil.copyfile(root / "usr/lib/shim" / system.mok_manager, folder / "mmx64.efi")
        shutil.copyfile(root / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", folder / "grubx64.efi")
    (vendor / "grub.cfg").write_text(grubcfg.stub(system.layout, "grub"))
