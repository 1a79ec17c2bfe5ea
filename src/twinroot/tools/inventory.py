"""What a running machine consists of, as its own programs tell it: for a person who looks for a fault."""

from __future__ import annotations

import json
from typing import Any

from twinroot.errors import HostError
from twinroot.tools.run import run

_PATIENCE = 30.0  # seconds; a program that waits for a broken device must not hold up all the rest


def block_devices() -> Any:
    """Block devices, as lsblk(8) describes them in JSON. CommandError, MissingToolError, HostError."""
    return _json("lsblk", "--json", "--bytes", "--output-all")


def mounts() -> Any:
    """Mounts, as findmnt(8) describes them in JSON. CommandError, MissingToolError, HostError."""
    return _json("findmnt", "--json", "--list", "--bytes")


def virtualisation() -> str:
    """The hypervisor or container that we run in, `none` on bare metal (systemd-detect-virt(1))."""
    return run(["systemd-detect-virt"], ok=(0, 1), timeout=_PATIENCE).stdout.strip()


def boot_measurements() -> str:
    """The measurements of the TPM, component by component (systemd-pcrlock(8))."""
    return run(["/usr/lib/systemd/systemd-pcrlock", "log", "--no-pager"], timeout=_PATIENCE).stdout


def unit_status(unit: str) -> str:
    """What systemctl(1) says of a unit, in whatever state it is; CommandError where there is no systemd."""
    return run(["systemctl", "status", "--no-pager", "--full", "--", unit], ok=(0, 3), timeout=_PATIENCE).stdout


def _json(*argv: str) -> Any:
    try:
        return json.loads(run(argv, timeout=_PATIENCE).stdout)
    except ValueError as error:
        raise HostError(f"what {argv[0]} says cannot be read: {error}") from error
