"""Power fails during updates: the machine always starts a whole system, and can be updated again.

`make soak` does the same at forty moments.
"""

from __future__ import annotations

import pytest
from tests.vm.cuts import cut_updates, parts
from tests.vm.servicing import Images, Serviced

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(2400)]


def test_power_fails_during_updates(images: Images, machine: Serviced) -> None:
    found = list(cut_updates(machine, images).cuts(parts(4)))
    assert all(cut.well for cut in found), "\n".join(cut.row() for cut in found)
