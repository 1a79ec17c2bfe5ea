"""What holds for every test."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

# How long an example takes is the machine's affair: tests do not time anything.
settings.register_profile("twinroot", deadline=None)
settings.load_profile("twinroot")

# A shell without job control starts what runs in its background with SIGINT ignored, which would be inherited by every
# program that a test starts, to interrupt it.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


# What takes longest is not to begin when everything else is over and only one process has something left to do.
_LONG = ("vm", "packages", "images")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long to the front; otherwise leave the random order as it is."""

    def place(item: pytest.Item) -> int:
        return next((number for number, name in enumerate(_LONG) if item.get_closest_marker(name)), len(_LONG))

    items.sort(key=place)
