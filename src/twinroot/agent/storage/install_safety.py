"""Whether a machine may be installed anew from the OS that runs now (servicing spec, section 5). Pure."""

from __future__ import annotations

from twinroot.agent.errors import ServicingError

OVERRIDE_FILE = "/override-trident-safety-check"


def check_clean_install(command_line: str, *, multiboot: bool, adopts: bool, override: bool) -> None:
    """ServicingError unless an installation loses nothing that somebody may want to keep.

    `command_line` is the running kernel's; `adopts` whether the configuration adopts partitions; `override` whether
    `OVERRIDE_FILE` exists.
    """
    if runs_from_disk(command_line):
        if not multiboot:
            message = "this machine runs from its disk, and an installation would overwrite it"
            hint = "start an installer, or use update"
            raise ServicingError("clean-install-on-provisioned-host", message, hint=hint)
        if not (adopts or override):
            message = "an installation beside the running OS must adopt its partitions"
            raise ServicingError("clean-install-safety-check", message, hint="add adoptedPartitions to the disk")
    if multiboot and not (adopts or override):
        message = "--multiboot is for installations beside others, and this configuration adopts no partition"
        raise ServicingError(
            "multiboot-without-adopted-partitions", message, hint="add adoptedPartitions, the ESP first"
        )


def runs_from_disk(command_line: str) -> bool:
    """Whether the kernel was given a root that stays: no RAM disk, no live media. The last `root=` counts."""
    roots = [word.removeprefix("root=") for word in command_line.split() if word.startswith("root=")]
    return bool(roots) and roots[-1] != "/dev/ram0" and not roots[-1].startswith("live:")
