"""`os.hostname`: the name in /etc/hostname, without a line end (image behaviour spec §12)."""

from __future__ import annotations

from pathlib import Path

from twinroot.sandbox.paths import resolve_inside


def set_hostname(root: Path, hostname: str) -> None:
    """Write the name. A symbolic link in its place is replaced, never followed."""
    path = resolve_inside(root, "/etc") / "hostname"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(hostname)
    path.chmod(0o644)
