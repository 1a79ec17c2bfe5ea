"""mkswap: swap areas in files."""

from __future__ import annotations

from pathlib import Path

from twinroot.tools.run import run

# The page size is that of the machine that will use it. All that we make images for have pages of 4 KiB, or can.
_PAGE = 4096


def make(path: Path, size: int, *, uuid: str, label: str = "") -> None:
    """Make a swap area of `size` bytes, which needs ten pages at least."""
    with path.open("wb") as file:
        file.truncate(size)
    path.chmod(0o600)  # or mkswap warns
    name = ["-L", label] if label else []
    run(["mkswap", "-p", str(_PAGE), "-U", uuid, *name, path])
