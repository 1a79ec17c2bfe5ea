"""How an installed machine starts: boot variables, the ESP, grub."""
