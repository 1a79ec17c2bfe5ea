"""systemctl: units of the running system, and its restart."""

from __future__ import annotations

from twinroot.tools.run import run


def is_active(unit: str, *, timeout: float) -> tuple[bool, str]:
    """Whether a unit is active, and the line of its status that says so or why not.

    CommandError when systemd does not answer within `timeout` seconds. Exit codes of `status`: 0 active, 3 not active,
    4 no such unit (systemctl(1)).
    """
    command = ["systemctl", "status", "--no-pager", "--lines=0", "--full", "--", unit]
    result = run(command, ok=range(256), timeout=timeout)
    lines = [line.strip() for line in result.stdout.splitlines()]
    said = next((line for line in lines if line.startswith("Active:")), None)
    if said is None:
        said = " ".join((result.stderr or result.stdout).split()) or f"systemctl ended with code {result.code}"
    return result.code == 0, said


def restart_if_active(unit: str) -> None:
    """Have a service read its configuration again; nothing happens where it does not run, or is not there."""
    run(["systemctl", "try-restart", "--", unit])


def reboot() -> None:
    """Ask for a restart of the machine; it comes some time after this returned."""
    run(["systemctl", "reboot"])
