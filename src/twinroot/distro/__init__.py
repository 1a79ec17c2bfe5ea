"""Distributions: package managers, boot file locations, initramfs tools."""
