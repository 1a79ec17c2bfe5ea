"""Which Debian packages go in, what their RPMs are called, and who owns what no Debian package owns. Tables only.

The RPM names are those of Azure Linux 3 and Fedora where the seed's config, or configs like it, use them; every
other package keeps its Debian name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


SUITE = "bookworm"
FILESYSTEM = "filesystem"
SETUP = "setup"
DROP = ""  # As an owner: the file goes into no package.

# Everything the repository offers, dependencies aside.
WANTED = _words(
    "linux-image-cloud-amd64 dracut grub-efi-amd64-bin grub2-common shim-signed efibootmgr systemd",
    "systemd-sysv systemd-resolved systemd-timesyncd systemd-boot systemd-boot-efi dbus udev util-linux",
    "login passwd libpam-systemd kmod procps hostname bash coreutils findutils diffutils grep sed gawk",
    "tar gzip zstd xz-utils unzip cpio file less jq bc rpm dnf ca-certificates curl sudo vim lsof python3",
    "squashfs-tools sqlite3 iproute2 iputils-ping iptables netplan.io openssh-client openssh-server",
    "auditd tpm2-tools mdadm cryptsetup-bin dmsetup e2fsprogs xfsprogs btrfs-progs dosfstools fdisk gdisk",
    "parted selinux-policy-default policycoreutils selinux-utils",
)

# Debian's own machinery, which an RPM system does not have.
DROPPED = frozenset(
    _words(
        "adduser apt base-passwd debconf debian-archive-keyring dirmngr dpkg gnupg-l10n gpg-wks-client",
        "gpg-wks-server init-system-helpers libapt-pkg6.0 libdebconfclient0 linux-base",
        "linux-image-cloud-amd64 mawk runit-helper sensible-utils shim-helpers-amd64-signed shim-signed",
        "shim-signed-common shim-unsigned ucf usr-is-merged usrmerge grub-efi-amd64-signed mokutil",
    )
)

# Debian name -> RPM name. Several Debian packages may become one RPM; the first one here gives the version.
RENAMED: Mapping[str, str] = {
    "auditd": "audit",
    "btrfs-progs": "btrfs-progs",
    "cryptsetup-bin": "cryptsetup",
    "dmsetup": "device-mapper",
    "dracut": "dracut",
    "dracut-core": "dracut",
    "fdisk": "util-linux-fdisk",
    "grub-common": "grub2",
    "grub2-common": "grub2",
    "grub-efi-amd64-bin": "grub2-efi",
    "iproute2": "iproute",
    "iputils-ping": "iputils",
    "libc6": "glibc",
    "libc-bin": "glibc",
    "netplan.io": "netplan",
    "openssh-client": "openssh-clients",
    "passwd": "shadow-utils",
    "login": "shadow-utils",
    "libpam-modules": "pam",
    "libpam-modules-bin": "pam",
    "libpam-runtime": "pam",
    "libpam-systemd": "systemd-pam",
    "procps": "procps-ng",
    "python3-minimal": "python3",
    "python3": "python3",
    "selinux-policy-default": "selinux-policy",
    "selinux-utils": "libselinux-utils",
    "sqlite3": "sqlite",
    "systemd": "systemd",
    "systemd-sysv": "systemd",
    "systemd-boot": "systemd-boot",
    "systemd-boot-efi": "systemd-boot",
    "udev": "systemd-udev",
    "vim": "vim",
    "xz-utils": "xz",
}

# Paths (globs; `*` crosses slashes) that go to another RPM than their Debian package's, or that none of them owns.
# The first match wins. DROP leaves a file out.
PLACED: tuple[tuple[str, str], ...] = (
    ("/usr/bin/dnf-3", "python3-dnf"),  # as in Fedora: the tool itself; `dnf` is only the name and its completions
    ("/usr/sbin/veritysetup", "veritysetup"),
    ("/etc/apt*", DROP),
    ("/etc/cron.*", DROP),
    ("/etc/debconf*", DROP),
    ("/etc/debian_version", DROP),
    ("/etc/dpkg*", DROP),
    ("/etc/init.d*", DROP),
    ("/etc/rc?.d*", DROP),
    ("/etc/runit*", DROP),
    ("/etc/sv*", DROP),
    ("/etc/ucf.conf", DROP),
    ("/etc/update-motd.d*", DROP),
    ("/etc/kernel/post*", DROP),
    ("/etc/*-", DROP),
    ("/etc/.*", DROP),
    ("/etc/fstab", DROP),
    ("/etc/grub.d/05_debian_theme", DROP),
    ("/etc/grub.d/20_linux_xen", DROP),
    ("/etc/grub.d/30_os-prober", DROP),
    ("/etc/default/grub.d/init-select.cfg", DROP),
    ("/etc/hostname", DROP),
    ("/etc/ld.so.cache", DROP),
    ("/etc/machine-id", DROP),
    ("/etc/motd", DROP),
    ("/etc/resolv.conf", DROP),
    ("/etc/ssh/ssh_host_*", DROP),
    ("/etc/systemd/system/*apt-daily*", DROP),
    ("/etc/systemd/system/*dpkg-db-backup*", DROP),
    ("/etc/systemd/system/*e2scrub*", DROP),
    ("/etc/systemd/system/*/ssh.service", DROP),
    ("/etc/systemd/system/sshd.service", DROP),
    ("/etc/systemd/user/*dirmngr*", DROP),
    ("/initrd.img*", DROP),
    ("/vmlinuz*", DROP),
    ("/boot/initrd*", DROP),
    ("/boot/grub", DROP),
    ("/boot/grub/*", DROP),
    ("/usr/lib/ssl/misc*", DROP),
    ("/usr/lib/systemd/system/ssh.socket", DROP),
    ("/usr/lib/systemd/system/ssh@.service", DROP),
    ("/usr/lib/systemd/system/rescue-ssh.target", DROP),
    ("/usr/share/apport*", DROP),
    ("/usr/share/bug*", DROP),
    ("/usr/share/debconf*", DROP),
    ("/usr/share/doc-base*", DROP),
    ("/usr/share/initramfs-tools*", DROP),
    ("/usr/share/lintian*", DROP),
    ("/usr/share/info*", DROP),
    ("/usr/share/man*", DROP),
    ("/usr/share/menu*", DROP),
    ("/usr/share/pam-configs*", DROP),
    ("/var/backups*", DROP),
    ("/var/cache/*", DROP),
    ("/var/lib/apt*", DROP),
    ("/var/lib/dpkg*", DROP),
    ("/var/lib/initramfs-tools*", DROP),
    ("/var/lib/pam*", DROP),
    ("/var/lib/python*", DROP),
    ("/var/lib/shells.state", DROP),
    ("/var/lib/shim-signed*", DROP),
    ("/var/lib/systemd/catalog*", DROP),
    ("/var/lib/systemd/deb-systemd-*", DROP),
    ("/var/lib/ucf*", DROP),
    ("/var/log/README", DROP),
    ("/var/log/*.log", DROP),
    ("/var/log/?tmp", DROP),
    ("/var/log/lastlog", DROP),
    ("/var/log/faillog", DROP),
    ("/var/log/apt*", DROP),
    ("/var/log/runit*", DROP),
    ("/run/*", DROP),
    # Compiled by the maintainer script: the policy, its store, and what says which policy is used.
    ("/etc/selinux/config", "selinux-policy"),
    ("/etc/selinux/default*", "selinux-policy"),
    ("/var/lib/selinux*", "selinux-policy"),
    ("/etc/audit/audit.rules", "audit"),
    ("/etc/ca-certificates.conf", "ca-certificates"),
    ("/etc/ssl/certs/*", "ca-certificates"),
    ("/etc/mdadm*", "mdadm"),
    ("/etc/default/mdadm", "mdadm"),
    ("/etc/pam.d/common-*", "pam"),
    ("/etc/ssh/sshd_config", "openssh-server"),
    ("/usr/lib/udev/hwdb.bin", "systemd-udev"),
    *((f"/etc/{name}", SETUP) for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")),
)

# Dependencies of Debian's that only serve building packages: (RPM, what it need not have).
NOT_NEEDED = frozenset((("rpm", "perl"), ("rpm", "debugedit")))

# Accounts that Debian's maintainer scripts add and that belong to a package; all others are in the base's passwd.
USERS: Mapping[str, str] = {"sshd": "openssh-server", "tss": "tpm-udev", "_apt": DROP}
GROUPS: Mapping[str, str] = {"_ssh": "openssh-clients", "tss": "tpm-udev", "_apt": DROP}

FILE_CAPABILITIES: Mapping[str, str] = {"/usr/bin/ping": "cap_net_raw=ep"}


@dataclass(frozen=True)
class Extra:
    """What a package has beyond what Debian says. `version` only for packages that are ours alone."""

    summary: str = ""
    version: str = ""
    version_of: str = ""
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)


_KERNEL_POSTTRANS = """for dir in /usr/lib/modules/*/; do
  version=$(basename "$dir")
  [ -e /boot/vmlinuz-$version ] || continue
  [ -e /boot/initramfs-$version.img ] && continue
  # Where /proc is missing (an installation from outside) whoever makes the image runs dracut.
  [ -d /proc/self ] && [ -x /usr/bin/dracut ] && dracut --quiet /boot/initramfs-$version.img $version
done
exit 0"""

EXTRAS: Mapping[str, Extra] = {
    # First of all, so that the owners of the other packages' files are known while these are unpacked.
    SETUP: Extra("Accounts of the system", "3.0"),
    FILESYSTEM: Extra("Directories, links and configuration that no other package owns", "3.0", requires=(SETUP,)),
    "standin-release": Extra(
        "Identity of the stand-in distribution",
        "3.0",
        provides=("system-release = 3.0", "system-release(releasever) = 3.0"),
    ),
    "grub2-efi-binary": Extra(
        "GRUB for UEFI, configured from /boot/grub2 on the EFI system partition", version_of="grub-common"
    ),
    "grub2-efi-binary-noprefix": Extra(
        "GRUB for UEFI, configured from the directory it was loaded from",
        version_of="grub-common",
        conflicts=("grub2-efi-binary",),
    ),
    "shim": Extra("First-stage UEFI boot loader, signed by Debian's vendor chain", version_of="shim-signed"),
    "veritysetup": Extra("Set up dm-verity volumes", version_of="cryptsetup-bin", requires=("cryptsetup",)),
    "twinroot-testing": Extra(
        "For tests only: root is logged in on the serial console without a password",
        "1.0",
        requires=("util-linux", "systemd"),
    ),
    "grub2": Extra(provides=("grub2-tools", "grub2-tools-minimal", "grub2-configuration"), requires=("gawk",)),
    "grub2-efi": Extra(provides=("grub2-efi-x64-modules",)),
    "systemd-boot": Extra(provides=("systemd-boot-unsigned",)),
    "dash": Extra(provides=("/bin/sh",)),
    "bash": Extra(provides=("/bin/bash",)),
    "dnf": Extra(requires=("python3-dnf",)),
    "python3-dnf": Extra(requires=("rpm",)),
    "python3": Extra(provides=("/usr/bin/python3",)),
    "kernel": Extra(requires=("kmod",), sections={"posttrans": _KERNEL_POSTTRANS}),
    "openssh-server": Extra(requires=("shadow-utils",)),
    "glibc": Extra(sections={"transfiletriggerin": "ldconfig"}),
}

# The minimal base image: what a small Azure Linux image has, by RPM name. Dependencies come by themselves.
MINIMAL_OS = _words(
    "filesystem standin-release bash coreutils util-linux shadow-utils systemd systemd-udev systemd-pam",
    "systemd-resolved dbus kernel dracut grub2 grub2-efi-binary shim rpm python3-dnf ca-certificates",
    "e2fsprogs dosfstools kmod procps-ng hostname findutils grep sed gawk tar gzip zstd cpio less ncurses-base",
)

# The Debian base image, dependencies aside.
DEBIAN = _words(
    "linux-image-cloud-amd64 initramfs-tools zstd grub-efi-amd64-bin grub-efi-amd64-signed grub2-common",
    "shim-signed systemd systemd-sysv systemd-resolved dbus udev libpam-systemd util-linux login passwd",
    "kmod procps hostname e2fsprogs dosfstools less ca-certificates",
)

# The same of Ubuntu, which is made on request only.
UBUNTU_SUITE = "noble"
UBUNTU = ("linux-image-virtual", *(name for name in DEBIAN if name != "linux-image-cloud-amd64"))
