"""Bytes of files and disks: GPT, zstd frames, COSI, VHD. Standard library and zstd only."""
