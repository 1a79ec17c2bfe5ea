"""New systems whose failure shows late: no program starts, or it hangs. `test_updates.py` has those that show early."""

from __future__ import annotations

import pytest
from tests.vm.failures import comes_back
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    Images,
    Serviced,
    about,
    begin_and_await,
    host_configuration,
    serving,
    settled,
    switch_off,
    version,
    write_file,
)

pytestmark = [pytest.mark.vm, pytest.mark.soak, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(2400)]


def test_the_machine_comes_back_by_itself(images: Images, machine: Serviced) -> None:
    with machine.switched_on() as running, serving(images.second) as server:
        for failure in ("there is no init", "it hangs"):
            comes_back(running, server, images.second, failure)
        write_file(running.console, HOST_CONFIGURATION, host_configuration(server, images.second))
        begin_and_await(running, "trident update")
        assert version(running.console) == "2"
        assert about(settled(running.console)) == ("provisioned", "volume-b")
        switch_off(running)
