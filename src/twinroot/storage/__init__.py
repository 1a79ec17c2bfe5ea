"""The block side: filesystems from trees, fstab."""
