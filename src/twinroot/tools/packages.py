"""Which package brings a host program: for the hint of MissingToolError. Debian's names."""

from __future__ import annotations

_PACKAGES = {
    "blkid": "util-linux",
    "btrfs": "btrfs-progs",
    "btrfstune": "btrfs-progs",
    "createrepo_c": "createrepo-c",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "e2fsck": "e2fsprogs",
    "e2image": "e2fsprogs",
    "fatlabel": "dosfstools",
    "fsck.fat": "dosfstools",
    "fsck.vfat": "dosfstools",
    "fuse2fs": "fuse2fs",
    "losetup": "mount",
    "mcopy": "mtools",
    "mdir": "mtools",
    "mke2fs": "e2fsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mkfs.ntfs": "ntfs-3g",
    "mkfs.vfat": "dosfstools",
    "mkfs.xfs": "xfsprogs",
    "mkswap": "util-linux",
    "mmd": "mtools",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "netplan": "netplan.io",
    "mtype": "mtools",
    "newgidmap": "uidmap",
    "newuidmap": "uidmap",
    "patchelf": "patchelf",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "partx": "util-linux",
    "resize2fs": "e2fsprogs",
    "rpm": "rpm",
    "rpmbuild": "rpm",
    "setpriv": "util-linux",
    "strip": "binutils",
    "swaplabel": "util-linux",
    "systemctl": "systemd",
    "tar": "tar",
    "tune2fs": "e2fsprogs",
    "umount": "mount",
    "veritysetup": "cryptsetup-bin",
    "wipefs": "util-linux",
    "xfs_admin": "xfsprogs",
    "xfs_repair": "xfsprogs",
}


def package_of(program: str) -> str | None:
    """The package to install for a program, or None when we do not know."""
    return _PACKAGES.get(program)
