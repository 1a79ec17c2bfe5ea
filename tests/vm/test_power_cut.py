"""The rig for tests of updates keeps its word: a power cut takes what was not flushed, and nothing else."""

from __future__ import annotations

import shlex

import pytest
from tests.vm.servicing import Serviced, status

pytestmark = [pytest.mark.vm, pytest.mark.soak, pytest.mark.images, pytest.mark.packages, pytest.mark.timeout(2400)]

# One pattern is flushed. Then nothing else may flush, so file systems are frozen, and another pattern goes over it.
_WRITE = """
set -e
cd /dev/shm
head -c 4096 /dev/zero > zeros; tr '\\0' a < zeros > a; tr '\\0' b < zeros > b
dd if=a of=/dev/vda3 bs=4096 oflag=direct; sync /dev/vda3
fsfreeze --freeze /var/lib/trident; fsfreeze --freeze /
dd if=b of=/dev/vda3 bs=4096 oflag=direct
test "$(dd if=/dev/vda3 bs=4096 count=1 iflag=direct | sha256sum)" = "$(sha256sum < b)"
"""
_READ = "head -c 4096 /dev/vda3 | tr -s ab"


def test_power_cut(machine: Serviced) -> None:
    with machine.switched_on() as running:
        assert status(running.console)["servicingState"] == "provisioned"
        running.console.check(f"bash -c {shlex.quote(_WRITE)}")
    with machine.switched_on() as running:
        assert running.console.check(_READ) == "a"
