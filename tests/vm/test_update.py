"""Updates of a running machine: into the other half and back, by hand and by itself when a new system fails."""

from __future__ import annotations

import pytest
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

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(2400)]


def test_there_and_back(images: Images, machine: Serviced) -> None:
    with machine.switched_on() as running, serving(images.second) as second, serving(images.first) as first:
        console = running.console
        write_file(console, HOST_CONFIGURATION, host_configuration(second, images.second))

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

        # The commit took the trial away: what starts next is the same system without it.
        assert console.run("grep trident_trial /boot/efi/EFI/AZLB/grub.cfg /boot/efi/EFI/BOOT/grub.cfg").code == 1
        entries = console.check("efibootmgr")
        next_start = entries.partition("BootOrder: ")[2][:4]
        assert f"Boot{next_start}* AZLB" in entries

        write_file(console, HOST_CONFIGURATION, host_configuration(first, images.first))
        begin_and_await(running, "trident update")
        assert version(console) == "1"
        assert about(settled(console)) == ("provisioned", "volume-a")

        assert console.check("trident rollback --check -v off").strip() == "ab"
        begin_and_await(running, "trident rollback")
        assert version(console) == "2"
        assert about(settled(console)) == ("provisioned", "volume-b")
        switch_off(running)
