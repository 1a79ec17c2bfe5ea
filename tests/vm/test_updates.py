"""Updates of one machine: images that are damaged, systems that fail, then into the other half, back, and undone.

One machine goes through it all, as starts and updates are what takes long; what fails leaves it able to be updated.
`make soak` tries thirty flips, and failures that show late.
"""

from __future__ import annotations

import pytest
from tests.unit.agent.storage.range_server import RangeServer
from tests.vm.damage import flips, others, refused
from tests.vm.failures import comes_back
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    UPDATE_TIMEOUT,
    Images,
    Serviced,
    about,
    begin_and_await,
    host_configuration,
    reboot,
    serving,
    settled,
    status,
    switch_off,
    version,
    write_file,
)

from twinroot.vm.console import Console
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(3600)]


def test_updates(images: Images, machine: Serviced) -> None:
    with machine.switched_on() as running, serving(images.second) as second, serving(images.first) as first:
        console = running.console
        write_file(console, HOST_CONFIGURATION, host_configuration(second, images.second))
        _damaged_images_are_refused(console, second, images)
        for failure in ("the kernel is damaged", "a health check fails"):
            comes_back(running, second, images.second, failure)

        write_file(console, HOST_CONFIGURATION, host_configuration(second, images.second))
        _staged_and_finalized(running)
        _the_commit_took_the_trial_away(console)

        write_file(console, HOST_CONFIGURATION, host_configuration(first, images.first))
        _asked_through_the_daemon(running)
        assert version(console) == "1"
        assert about(settled(console)) == ("provisioned", "volume-a")

        assert console.check("trident rollback --check -v off").strip() == "ab"
        begin_and_await(running, "trident rollback")
        assert version(console) == "2"
        assert about(settled(console)) == ("provisioned", "volume-b")
        switch_off(running)


def _damaged_images_are_refused(console: Console, server: RangeServer, images: Images) -> None:
    for damage in (*flips(images.second, 3), *others()):
        assert refused(console, server, damage) is None


def _staged_and_finalized(running: Machine) -> None:
    """Two commands, with a start of the old system in between."""
    console = running.console
    console.check("trident update --allowed-operations stage -v info", timeout=UPDATE_TIMEOUT)
    assert about(status(console)) == ("ab-update-staged", "volume-a")
    reboot(running)
    assert version(console) == "1"
    assert about(settled(console)) == ("ab-update-staged", "volume-a")
    begin_and_await(running, "trident update --allowed-operations finalize")
    found = settled(console)
    assert version(console) == "2"
    assert about(found) == ("provisioned", "volume-b")
    assert "lastError" not in found
    assert console.check("systemctl is-system-running").strip() == "running"
    assert "trident.trial" in console.check("cat /proc/cmdline")
    logs = console.check("ls /var/lib/trident")
    assert all(f"trident-{state}-" in logs for state in ("AbUpdateStaged", "AbUpdateFinalized"))


def _asked_through_the_daemon(running: Machine) -> None:
    """systemd starts it for the first request, and it restarts the machine when the update wants that."""
    console = running.console
    assert console.check("trident grpc-client version -v off").strip() == console.check("trident --version").split()[1]
    begin_and_await(running, f"trident grpc-client update {HOST_CONFIGURATION}")


def _the_commit_took_the_trial_away(console: Console) -> None:
    """What starts next is the same system without it."""
    assert console.run("grep trident_trial /boot/efi/EFI/AZLB/grub.cfg /boot/efi/EFI/BOOT/grub.cfg").code == 1
    entries = console.check("efibootmgr")
    next_start = entries.partition("BootOrder: ")[2][:4]
    assert f"Boot{next_start}* AZLB" in entries
