"""What the machines of tests are like: as quick as emulation allows."""

from __future__ import annotations

import os

from twinroot.vm.machine import Options

SAME_ADDRESSES = "norandmaps"
"""A word of the kernel's command line: each program finds its libraries where the last one did.

QEMU before 8 translates code for the addresses that it has, so that else it does so again for every process. A start
takes 28 seconds of processor time with it and 36 without.
"""


def _processors() -> int:
    """Two processors show what one does not, but where each process of a test run has only one of the host's for them,
    they wait for each other: a start takes a third longer.
    """
    share = len(os.sched_getaffinity(0)) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return min(max(share, 1), 2)


QUICK = Options(processor="x86-64-v2", cpus=_processors())
