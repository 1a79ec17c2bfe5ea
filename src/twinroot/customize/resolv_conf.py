"""/etc/resolv.conf: the host's for as long as something needs the network, and that of an image which has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import resolve_inside

_STUB = "../run/systemd/resolve/stub-resolv.conf"


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


def link_stub_resolver(chroot: Chroot) -> None:
    """Lead to systemd-resolved where that is enabled and nothing says otherwise (image behaviour spec §8)."""
    path = resolve_inside(chroot.root, "/etc") / "resolv.conf"
    if path.is_symlink() or path.exists() or not chroot.has("systemctl"):
        return
    enabled = chroot.run(["systemctl", "is-enabled", "systemd-resolved.service"], ok=range(256))
    if enabled.stdout.strip() == "enabled":
        path.symlink_to(_STUB)
