"""What image tests share: a place to work in, and bases that are made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.synthetic import MIB, Part, small_base
from tests.images.workplace import Workplace


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A fresh place to customise in; whatever the test did, nothing runs or is mounted there afterwards."""
    (tmp_path / "place").mkdir()
    return Workplace(tmp_path / "place")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic base, never written to: ESP, root, and a third partition that nothing mounts."""
    data = b"".join(bytes([n % 251]) * 4096 for n in range(MIB // 4096))
    return small_base(tmp_path_factory.mktemp("small") / "base.raw", extra=[Part(4, data=data, name="data")])
