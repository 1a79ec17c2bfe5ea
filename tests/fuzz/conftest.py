"""Every fuzz test runs with a bound on its address space, which catches what tracemalloc does not see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.memory import bounded_address_space


@pytest.fixture(autouse=True, scope="module")
def _bounded() -> Iterator[None]:
    with bounded_address_space():
        yield
