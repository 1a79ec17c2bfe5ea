from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twinroot.config.image.config import ImageConfig
from twinroot.config.load import load_image_config
from twinroot.errors import ConfigError, Problem

ProblemsOf = Callable[[str], list[Problem]]
ConfigOf = Callable[[str], ImageConfig]


@pytest.fixture
def problems_of(tmp_path: Path) -> ProblemsOf:
    """Write a text to a file, load it and give the problems; none when it is right."""

    def load(text: str) -> list[Problem]:
        path = tmp_path / "config.yaml"
        path.write_text(text, newline="")
        try:
            load_image_config(path)
        except ConfigError as error:
            return list(error.problems)
        return []

    return load


@pytest.fixture
def config_of(tmp_path: Path) -> ConfigOf:
    """Write a text that is right to a file, load it and give the configuration."""

    def load(text: str) -> ImageConfig:
        path = tmp_path / "config.yaml"
        path.write_text(text, newline="")
        return load_image_config(path).config

    return load
