"""What the machines of tests are like: as quick as emulation allows."""

from __future__ import annotations

import os

from twinroot.vm.machine import Options


def _processors() -> int:
    """Two processors show what one does not, but where each process of a test run has only one of the host's for them,
    they wait for each other: a start takes a third longer.
    """
    share = len(os.sched_getaffinity(0)) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return min(max(share, 1), 2)


QUICK = Options(processor="x86-64-v2", cpus=_processors())
