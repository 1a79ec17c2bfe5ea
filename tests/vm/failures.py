"""New systems that fail, and whether the machine is back on its old one by itself and knows why."""

from __future__ import annotations

import yaml
from tests.unit.agent.storage.range_server import RangeServer
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    UPDATE_TIMEOUT,
    Image,
    about,
    await_start,
    host_configuration,
    settled,
    version,
    write_file,
)

from twinroot.vm.machine import Machine

FAILURES: dict[str, tuple[dict[str, object], str]] = {
    # What the configuration of the update breaks, and the error that tells of it afterwards.
    "the kernel is damaged": (
        {"os": {"additionalFiles": [{"destination": "/boot/vmlinuz-KERNEL", "content": "nothing"}]}},
        "ab-update-reboot-check",
    ),
    "there is no init": (
        {"os": {"kernelCommandLine": {"extraCommandLine": ["init=/nowhere"]}}},
        "ab-update-reboot-check",
    ),
    "a health check fails": (
        {"health": {"checks": [{"name": "never", "content": "echo not well; exit 1", "runOn": ["ab-update"]}]}},
        "health-checks-failed",
    ),
    "it hangs": (
        {
            "os": {
                "additionalFiles": [
                    {
                        "destination": "/etc/systemd/system/trident.service.d/hang.conf",
                        "content": "[Service]\nExecStart=\nExecStart=/usr/bin/sleep infinity\n",
                    },
                    {
                        "destination": "/etc/systemd/system/trident-trial.timer.d/short.conf",
                        "content": "[Timer]\nOnActiveSec=\nOnActiveSec=90\n",
                    },
                ]
            }
        },
        "ab-update-reboot-check",
    ),
}


def comes_back(running: Machine, server: RangeServer, image: Image, failure: str) -> None:
    """Update a machine with the first image to another one that fails, and see that it comes back."""
    console = running.console
    more, error = FAILURES[failure]
    kernel = console.check("uname -r").strip()
    write_file(console, HOST_CONFIGURATION, host_configuration(server, image, more).replace("KERNEL", kernel))
    console.send("trident update -v info\n")
    for _start in ("of the new system", "of the old one"):
        console.wait_for("BdsDxe: starting Boot", timeout=UPDATE_TIMEOUT)
    await_start(running)
    assert version(console) == "1", failure
    assert about(settled(console)) == ("provisioned", "volume-a"), failure
    last = yaml.safe_load(console.check("trident get last-error -v off"))
    assert last["error"] == error, (failure, last)
