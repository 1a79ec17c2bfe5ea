"""Registries that several tests share, and a home without anybody's credentials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.synthetic import small_base
from tests.registry.servers import Registry, Scripted, docker_registry


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's: no credentials, no proxies, no policies."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry without TLS that lets everybody in."""
    with docker_registry(tmp_path_factory.mktemp("plain")) as registry:
        yield registry


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with TLS and the user `someone` with the password `secret:word`."""
    with docker_registry(tmp_path_factory.mktemp("private"), tls=True, users={"someone": "secret:word"}) as registry:
        yield registry


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A registry that answers as the test wants."""
    with Scripted().running() as registry:
        yield registry


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic base image."""
    return small_base(tmp_path_factory.mktemp("small") / "base.raw")
