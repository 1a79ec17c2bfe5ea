"""Updates of a running machine: into the other half and back, by hand and by itself when a new system fails."""

from __future__ import annotations

import pytest
import yaml
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    Images,
    Serviced,
    await_start,
    host_configuration,
    reboot,
    serving,
    status,
    switch_off,
    version,
    write_file,
)

from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(3600)]

UPDATE = 900.0  # seconds


def _servicing(running: Machine, command: str) -> None:
    """Begin a command that ends with a restart, and wait for that."""
    running.console.send(f"{command} -v info\n")
    await_start(running)


def _settled(console: Console) -> dict[str, object]:
    """The status when the commit at the start has ended."""
    console.run("systemctl is-system-running --wait", timeout=300)
    return status(console)


def _about(found: dict[str, object]) -> tuple[object, object]:
    return found["servicingState"], found["abActiveVolume"]


def test_there_and_back(images: Images, machine: Serviced) -> None:
    with machine.switched_on() as running, serving(images.second) as second, serving(images.first) as first:
        console = running.console
        write_file(console, HOST_CONFIGURATION, host_configuration(second, images.second))

        console.check("trident update --allowed-operations stage -v info", timeout=UPDATE)
        assert _about(status(console)) == ("ab-update-staged", "volume-a")
        reboot(running)
        assert version(console) == "1"
        assert _about(_settled(console)) == ("ab-update-staged", "volume-a")
        _servicing(running, "trident update --allowed-operations finalize")
        found = _settled(console)
        assert version(console) == "2"
        assert _about(found) == ("provisioned", "volume-b")
        assert "lastError" not in found
        assert console.check("systemctl is-system-running").strip() == "running"
        assert "trident.trial" in console.check("cat /proc/cmdline")

        reboot(running)
        assert version(console) == "2"
        assert "trident.trial" not in console.check("cat /proc/cmdline")

        write_file(console, HOST_CONFIGURATION, host_configuration(first, images.first))
        _servicing(running, "trident update")
        assert version(console) == "1"
        assert _about(_settled(console)) == ("provisioned", "volume-a")

        assert console.check("trident rollback --check -v off").strip() == "ab"
        _servicing(running, "trident rollback")
        assert version(console) == "2"
        assert _about(_settled(console)) == ("provisioned", "volume-b")
        switch_off(running)


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


@pytest.mark.parametrize("failure", FAILURES)
def test_the_machine_comes_back_by_itself(failure: str, images: Images, machine: Serviced) -> None:
    more, error = FAILURES[failure]
    with machine.switched_on() as running, serving(images.second) as server:
        console = running.console
        text = host_configuration(server, images.second, more)
        write_file(console, HOST_CONFIGURATION, text.replace("KERNEL", console.check("uname -r").strip()))
        running.console.send("trident update -v info\n")
        # A new system that comes as far as its login prompt starts again from there.
        console.wait_for("BdsDxe: starting Boot", timeout=UPDATE)
        console.wait_for("BdsDxe: starting Boot", timeout=UPDATE)
        await_start(running)
        assert version(console) == "1"
        found = _settled(console)
        assert _about(found) == ("provisioned", "volume-a")
        last = yaml.safe_load(console.check("trident get last-error -v off"))
        assert last["error"] == error, last

        write_file(console, HOST_CONFIGURATION, host_configuration(server, images.second))
        _servicing(running, "trident update")
        assert version(console) == "2"
        assert _about(_settled(console)) == ("provisioned", "volume-b")
        switch_off(running)
