"""Images and machines for tests that service a machine; `servicing.py` says how they are used."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.once import made_once
from tests.vm.servicing import Builder, Images, Serviced, first_start, images_in, machine_in


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Images of the versions 1 and 2, for all processes of a test run."""

    def make(place: Path) -> None:
        place.mkdir()
        builder = Builder(place)
        for version in ("1", "2"):
            builder.image(version)
        for folder in ("build", "cache"):
            shutil.rmtree(place / folder)

    return images_in(made_once(tmp_path_factory, "servicing-images", make))


@pytest.fixture(scope="session")
def provisioned(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Serviced:
    """A machine with the first image, provisioned, and off, for all processes. Tests work on a `copy` of it."""

    def make(place: Path) -> None:
        place.mkdir()
        first_start(images.first, place)

    return machine_in(made_once(tmp_path_factory, "provisioned", make))


@pytest.fixture
def machine(provisioned: Serviced, tmp_path: Path) -> Iterator[Serviced]:
    """A machine of the test's own, with the first image, provisioned, and off."""
    found = provisioned.copy(tmp_path / "machine")
    yield found
    found.discard()
