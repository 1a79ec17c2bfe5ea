"""Virtual machines: boots disk images in QEMU and talks to their consoles."""
