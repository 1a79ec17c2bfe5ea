"""`os.hostname`: the name in /etc/hostname, without a line end (image behaviour spec §12)."""

from __future__ import annotations

from pathlib import Path

from twinroot.sandbox.paths import place_file


def set_hostname(root: Path, hostname: str) -> None:
    """Write the name. A symbolic link in its place is replaced, never followed."""
    place_file(root, "/etc/hostname", hostname)
