"""A Debian or Ubuntu machine with the agent's Debian packages is updated into its other half, and goes back by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    DebianBuilder,
    UbuntuBuilder,
    about,
    begin_and_await,
    first_start,
    host_configuration,
    serving,
    settled,
    status,
    switch_off,
    version,
    write_file,
)

pytestmark = [pytest.mark.vm, pytest.mark.soak, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("kind", [DebianBuilder, UbuntuBuilder])
def test_there_and_back(kind: type[DebianBuilder], tmp_path: Path) -> None:
    builder = kind(tmp_path)
    first, second = builder.image("1"), builder.image("2")
    machine = first_start(first, tmp_path)
    with machine.switched_on() as running, serving(second) as server:
        console = running.console
        assert about(status(console)) == ("provisioned", "volume-a")
        write_file(console, HOST_CONFIGURATION, host_configuration(server, second))
        begin_and_await(running, "trident update -v info")
        assert version(console) == "2"
        found = settled(console)
        assert about(found) == ("provisioned", "volume-b")
        assert "lastError" not in found
        assert console.check("systemctl is-system-running").strip() == "running"
        assert "trident.trial" in console.check("cat /proc/cmdline")

        begin_and_await(running, "trident rollback -v info")
        assert version(console) == "1"
        assert about(settled(console)) == ("provisioned", "volume-a")
        switch_off(running)
