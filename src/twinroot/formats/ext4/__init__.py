"""ext4 on disk: filling a filesystem that mke2fs has made (`volume`), and reading any ext2, ext3 or ext4 (`reader`).

Source of all facts: the kernel's Documentation/filesystems/ext4, fs/ext4/ext4.h and e2fsprogs' lib/ext2fs. All numbers
on disk are little-endian. Filesystems to fill are of one kind: 4096-byte blocks, 256-byte inodes, `KNOWN` features.
"""

BLOCK = 4096
INODE_SIZE = 256
ROOT_INODE = 2
LOST_AND_FOUND = 11

NEEDED = frozenset(
    ("sparse_super", "extent", "filetype", "metadata_csum", "64bit", "extra_isize", "ext_attr", "large_file")
)
KNOWN = NEEDED | {
    "resize_inode",
    "dir_index",
    "has_journal",
    "huge_file",
    "flex_bg",
    "dir_nlink",
    "orphan_file",
    "metadata_csum_seed",
}
