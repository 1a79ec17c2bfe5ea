"""An image that is damaged on its way is refused, and the machine is as it was. `make soak` tries thirty flips."""

from __future__ import annotations

import pytest
from tests.vm.damage import flips, others, refused
from tests.vm.servicing import (
    HOST_CONFIGURATION,
    Images,
    Serviced,
    about,
    host_configuration,
    reboot,
    serving,
    settled,
    version,
    write_file,
)

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(2400)]


def test_nothing_of_a_damaged_image_starts(images: Images, machine: Serviced) -> None:
    with machine.switched_on() as running, serving(images.second) as server:
        console = running.console
        write_file(console, HOST_CONFIGURATION, host_configuration(server, images.second))
        for damage in (*flips(images.second, 3), *others()):
            assert refused(console, server, damage) is None
        reboot(running)
        assert version(console) == "1"
        assert about(settled(console)) == ("provisioned", "volume-a")
