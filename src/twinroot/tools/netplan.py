"""netplan: applying the network configuration of the running system."""

from __future__ import annotations

from pathlib import Path

from twinroot.tools.run import run


def apply(state: Path) -> None:
    """Apply /etc/netplan. `state` is a directory with the files of before, as below `/`: netplan takes away what they
    had.
    """
    run(["netplan", "apply", "--state", state])
