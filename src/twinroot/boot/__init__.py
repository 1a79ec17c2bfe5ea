"""The boot chain: grub and the kernel command line."""
