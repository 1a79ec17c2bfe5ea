"""New systems that fail: the machine is back on its old one by itself, knows why, and can be updated again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import yaml
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    UPDATE_TIMEOUT,
    Images,
    Serviced,
    about,
    await_start,
    begin_and_await,
    host_configuration,
    serving,
    settled,
    switch_off,
    version,
    write_file,
)

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(2400)]

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


def test_the_machine_comes_back_by_itself(images: Images, machine: Serviced) -> None:
    _all_fail(images, machine, ("the kernel is damaged", "a health check fails"))


@pytest.mark.soak
def test_the_machine_comes_back_from_what_shows_late(images: Images, machine: Serviced) -> None:
    _all_fail(images, machine, ("there is no init", "it hangs"))


def _all_fail(images: Images, machine: Serviced, failures: Sequence[str]) -> None:
    """Update to systems that fail, one after the other, and then to one that is well."""
    with machine.switched_on() as running, serving(images.second) as server:
        console = running.console
        kernel = console.check("uname -r").strip()
        for failure in failures:
            more, error = FAILURES[failure]
            text = host_configuration(server, images.second, more).replace("KERNEL", kernel)
            write_file(console, HOST_CONFIGURATION, text)
            console.send("trident update -v info\n")
            for _start in ("of the new system", "of the old one"):
                console.wait_for("BdsDxe: starting Boot", timeout=UPDATE_TIMEOUT)
            await_start(running)
            assert version(console) == "1", failure
            assert about(settled(console)) == ("provisioned", "volume-a"), failure
            last = yaml.safe_load(console.check("trident get last-error -v off"))
            assert last["error"] == error, (failure, last)
        write_file(console, HOST_CONFIGURATION, host_configuration(server, images.second))
        begin_and_await(running, "trident update")
        assert version(console) == "2"
        assert about(settled(console)) == ("provisioned", "volume-b")
        switch_off(running)
