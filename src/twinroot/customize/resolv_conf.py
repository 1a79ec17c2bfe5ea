"""The host's name servers, visible in the tree for as long as something in it needs the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.sandbox.paths import resolve_inside


@contextmanager
def host_resolv_conf(root: Path) -> Iterator[None]:
    """Put a copy of the host's /etc/resolv.conf into the tree, and what was there before back afterwards.

    A host without one changes nothing: local repositories need no names.
    """
    host, inside = Path("/etc/resolv.conf"), resolve_inside(root, "/etc") / "resolv.conf"
    if not host.exists():
        yield
        return
    kept = inside.with_name("resolv.conf.twinroot")
    had_one = inside.is_symlink() or inside.exists()
    if had_one:
        inside.rename(kept)
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.write_bytes(host.read_bytes())
    try:
        yield
    finally:
        inside.unlink(missing_ok=True)
        if had_one:
            kept.rename(inside)
