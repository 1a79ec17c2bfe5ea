from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twinroot.config.host.config import HostConfig
from twinroot.config.load_host import load_host_config
from twinroot.errors import ConfigError, Problem


@pytest.fixture
def problems_of(tmp_path: Path) -> Callable[[str], list[Problem]]:
    """Write a text to a file, load it and give the problems; none when it is right."""

    def load(text: str) -> list[Problem]:
        path = tmp_path / "host.yaml"
        path.write_text(text, newline="")
        try:
            load_host_config(path)
        except ConfigError as error:
            return list(error.problems)
        return []

    return load


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[[str], HostConfig]:
    """Write a text that is right to a file, load it and give the configuration."""

    def load(text: str) -> HostConfig:
        path = tmp_path / "host.yaml"
        path.write_text(text, newline="")
        return load_host_config(path).config

    return load


@pytest.fixture
def warnings_of(tmp_path: Path) -> Callable[[str], list[Problem]]:
    """Write a text that is right to a file, load it and give the warnings."""

    def load(text: str) -> list[Problem]:
        path = tmp_path / "host.yaml"
        path.write_text(text, newline="")
        return list(load_host_config(path).warnings)

    return load
