"""Changes to the Debian root before it is packaged: names, paths and files as an Azure Linux image has them.

Every function here changes files below the given root and returns the paths it made, with the RPM they belong to.
Files are replaced, never written into, as the root is a hard-linked copy.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from standin.packages import GROUPS, USERS
from standin.tree import link, write
from twinroot.tools.run import run

FILES = Path(__file__).parent.parent / "files"
Made = dict[str, str]

# Programs of GRUB keep their Debian file names in what their scripts call: these are the ones to rename there.
_GRUB_CALL = re.compile(
    r"\bgrub-(?=(?:probe|mkrelpath|editenv|file|script-check|mkconfig|install|reboot|set-default|mkdevicemap)\b(?!_))"
)
# Modules built into the EFI images: enough to read any boot file system and run a grub.cfg made by grub2-mkconfig. What
# only media and graphical menus need is left out: an ESP of 8 MB must hold these images three times, for two slots and
# the fallback, and once more as the package brings it.
GRUB_MODULES = (
    "all_video boot btrfs cat chain configfile echo efi_gop efi_uga ext2 fat gzio halt help",
    "linux loadenv ls lsefi minicmd normal part_gpt part_msdos probe reboot search",
    "search_fs_file search_fs_uuid search_label serial sleep terminal test true tpm xfs zstd video",
)
_EFI = "/boot/efi/EFI/BOOT"


def adapt(root: Path) -> Made:
    """Everything below, in order."""
    made: Made = {}
    steps: tuple[Callable[[Path], Made], ...] = (
        accounts,
        grub_programs,
        grub_images,
        shim,
        dracut,
        sshd,
        identity,
        overlay,
    )
    for step in steps:
        made |= step(root)
    return made


def accounts(root: Path) -> Made:
    """Leave the accounts that packages bring out of passwd and group; root logs in without a password (console)."""
    _keep(root, "etc/passwd", lambda name: name not in USERS)
    _keep(root, "etc/group", lambda name: name not in GROUPS)
    _keep(root, "etc/shadow", lambda name: name not in USERS)
    _keep(root, "etc/gshadow", lambda name: name not in GROUPS)
    shadow = (root / "etc/shadow").read_text()
    _replace(root, "etc/shadow", re.sub(r"^root:[^:]*:[^:]*:", "root::20000:", shadow, flags=re.M))
    for name in ("etc/shadow", "etc/gshadow"):
        # As on Fedora: when this package is unpacked, no group but root's exists.
        shutil.chown(root / name, 0, 0)
        (root / name).chmod(0o600)
    _replace(root, "etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    return {}


def _keep(root: Path, name: str, wanted: Callable[[str], bool]) -> None:
    lines = (root / name).read_text().splitlines(keepends=True)
    _replace(root, name, "".join(line for line in lines if wanted(line.split(":")[0])))


def _replace(root: Path, name: str, text: str) -> None:
    """New contents under the same mode and owner."""
    path = root / name
    status = path.stat()
    write(root, name, text, status.st_mode & 0o7777)
    shutil.chown(path, status.st_uid, status.st_gid)


def grub_programs(root: Path) -> Made:
    """`grub2-…` programs, and /boot/grub2 in every script. The binaries only know /boot/grub, so editenv is wrapped."""
    made: Made = {}
    for folder in ("usr/bin", "usr/sbin"):
        for path in sorted((root / folder).glob("grub-*")):
            new = path.with_name(path.name.replace("grub-", "grub2-", 1))
            path.rename(new)
            made["/" + str(new.relative_to(root))] = "grub2"
    for name in ("update-grub", "update-grub2"):
        (root / "usr/sbin" / name).unlink(missing_ok=True)
    hidden = root / "usr/libexec/grub2/grub2-editenv"
    hidden.parent.mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/grub2-editenv").rename(hidden)
    made |= {"/usr/libexec/grub2": "grub2", "/usr/libexec/grub2/grub2-editenv": "grub2"}
    scripts = [*(root / path.lstrip("/") for path in made), *(root / "etc/grub.d").glob("[0-9]*")]
    for path in [*scripts, root / "usr/share/grub/grub-mkconfig_lib"]:
        if path.is_file() and path.read_bytes()[:2] in (b"#!", b"# "):
            text = _GRUB_CALL.sub("grub2-", path.read_text().replace("/boot/grub", "/boot/grub2"))
            _replace(root, str(path.relative_to(root)), text)
    boot = root / "boot/grub2"
    boot.mkdir(mode=0o700, exist_ok=True)
    return made | {"/boot/grub2": "grub2"}


def grub_images(root: Path) -> Made:
    """The two EFI images of GRUB, as Azure Linux has them: prefix /boot/grub2 on the ESP, and no prefix at all."""
    made: Made = {}
    modules = " ".join(GRUB_MODULES).split()
    images = {
        f"{_EFI}/grubx64.efi": ("grub2-efi-binary", "/boot/grub2"),
        f"{_EFI}/grubx64-noprefix.efi": ("grub2-efi-binary-noprefix", ""),
    }
    (root / _EFI.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path, (package, prefix) in images.items():
        run(["chroot", root, "grub2-mkimage", "-O", "x86_64-efi", "-p", prefix, "-o", path, *modules])
        made[path] = package
    return made | {"/boot/efi": "filesystem", "/boot/efi/EFI": "filesystem", _EFI: "filesystem"}


def shim(root: Path) -> Made:
    """shim and MokManager in the place from which firmware boots removable media."""
    made: Made = {}
    for source, name in (("shimx64.efi.signed", "bootx64.efi"), ("mmx64.efi.signed", "mmx64.efi")):
        target = root / _EFI.lstrip("/") / name
        shutil.copyfile(root / "usr/lib/shim" / source, target)
        made[f"{_EFI}/{name}"] = "shim"
    return made


def dracut(root: Path) -> Made:
    """initramfs-<version>.img, dracut's own name, in place of Debian's initrd.img-<version>."""
    for name in ("usr/bin/dracut", "usr/bin/lsinitrd", "usr/lib/dracut/dracut-initramfs-restore"):
        text = (root / name).read_text()
        changed = re.sub(r"/boot/initrd\.img-(\$\{\w+\})", r"/boot/initramfs-\1.img", text)
        _replace(root, name, changed)
    return {}


def sshd(root: Path) -> Made:
    """The unit is called sshd.service and makes the host keys at the first start."""
    units = root / "usr/lib/systemd/system"
    text = (units / "ssh.service").read_text().replace("Alias=sshd.service\n", "")
    text = text.replace("[Unit]\n", "[Unit]\nWants=sshd-keygen.service\n")
    text = text.replace("After=network.target", "After=network.target sshd-keygen.service")
    (units / "ssh.service").unlink()
    write(root, "/usr/lib/systemd/system/sshd.service", text)
    return {"/usr/lib/systemd/system/sshd.service": "openssh-server"}


def identity(root: Path) -> Made:
    """Links of standin-release, and the units that Azure Linux enables."""
    wanted = {
        "getty.target.wants/serial-getty@ttyS0.service": "serial-getty@.service",
        "multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
        "sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
        "dbus-org.freedesktop.network1.service": "systemd-networkd.service",
    }
    links = {f"/etc/systemd/system/{name}": f"/usr/lib/systemd/system/{unit}" for name, unit in wanted.items()}
    links |= {"/etc/os-release": "../usr/lib/os-release"}
    for path, target in links.items():
        link(root, path, target)
    repos = root / "etc/yum.repos.d"
    repos.mkdir(exist_ok=True)
    return dict.fromkeys(links, "standin-release") | {"/etc/yum.repos.d": "standin-release"}


def overlay(root: Path) -> Made:
    """The files below distro-rpm/files: the first directory names the RPM, the rest is the path in the image."""
    made: Made = {}
    for source in sorted(path for path in FILES.rglob("*") if path.is_file()):
        package, *parts = source.relative_to(FILES).parts
        path = "/" + "/".join(parts)
        # A directory that only this file needs goes with it.
        made |= {str(parent): package for parent in Path(path).parents if not (root / str(parent).lstrip("/")).exists()}
        write(root, path, source.read_text(), 0o755 if source.stat().st_mode & 0o100 else 0o644)
        made[path] = package
    return made
