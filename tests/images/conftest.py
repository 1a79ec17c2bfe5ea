"""What image tests share: a place to work in, and bases that are made once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.images import BASE_DEB, BASE_RPM, built
from tests.images.synthetic import MIB, Part, small_base
from tests.images.workplace import Workplace
from tests.once import made_once


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


@pytest.fixture(scope="session")
def rpm_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The RPM base as a raw disk, so that it need not be converted for every test; never written to."""
    return _raw(BASE_RPM, tmp_path_factory)


@pytest.fixture(scope="session")
def deb_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian base as a raw disk, never written to."""
    return _raw(BASE_DEB, tmp_path_factory)


@pytest.fixture(scope="session", params=["rpm", "deb"])
def os_base(request: pytest.FixtureRequest) -> Path:
    """Each of the two in turn."""
    path = request.getfixturevalue(f"{request.param}_base")
    assert isinstance(path, Path)
    return path


def _raw(base: Path, factory: pytest.TempPathFactory) -> Path:
    def convert(target: Path) -> None:
        subprocess.run(["qemu-img", "convert", "-W", "-O", "raw", built(base), target], check=True)

    return made_once(factory, f"{base.stem}.raw", convert)
