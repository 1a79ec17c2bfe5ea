"""Isolation: namespaces, mounts, running programs inside an image."""
