"""Images and machines for tests that service a machine; `servicing.py` says how they are used."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.servicing import Builder, Images, Serviced, first_start


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """What builds images; for others than those of `images`, too."""
    place = tmp_path_factory.mktemp("servicing-images")
    yield Builder(place)
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def images(builder: Builder) -> Images:
    """Images of the versions 1 and 2."""
    return Images(builder.image("1"), builder.image("2"))


@pytest.fixture(scope="session")
def provisioned(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serviced]:
    """A machine with the first image, provisioned, and off. Tests work on a `copy` of it."""
    found = first_start(images.first, tmp_path_factory.mktemp("provisioned"))
    yield found
    found.discard()


@pytest.fixture
def machine(provisioned: Serviced, tmp_path: Path) -> Iterator[Serviced]:
    """A machine of the test's own, with the first image, provisioned, and off."""
    found = provisioned.copy(tmp_path / "machine")
    yield found
    found.discard()
