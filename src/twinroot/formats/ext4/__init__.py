"""Reading ext2, ext3 and ext4 filesystems without mounting them and without other programs."""
