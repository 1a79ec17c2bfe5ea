"""How long the rig of power cuts waits for what an update writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.cuts import wait_until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (path := tmp_path / "writes.log").write_bytes(bytes(100))
    return path


@pytest.mark.timeout(60)
def test_a_machine_that_writes_no_more_is_not_waited_for(log: Path) -> None:
    begin = time.monotonic()
    wait_until(log, 200, lambda: False, quiet=0.2)
    assert time.monotonic() - begin > 0.2


@pytest.mark.timeout(60)
def test_a_machine_that_still_writes_is_waited_for(log: Path) -> None:
    def grow() -> Iterator[bool]:
        for size in range(101, 201):
            log.write_bytes(bytes(size))
            yield False

    growing = grow()
    wait_until(log, 190, lambda: next(growing), quiet=30)
    assert log.stat().st_size == 190


@pytest.mark.timeout(60)
def test_what_is_over_is_not_waited_for(log: Path) -> None:
    asked: list[float] = []

    def over() -> bool:
        asked.append(time.monotonic())
        return len(asked) == 3

    wait_until(log, 200, over)
    assert len(asked) == 3 and asked[2] > asked[0]
