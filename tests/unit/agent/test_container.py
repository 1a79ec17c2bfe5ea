"""Containers are told from machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.agent.errors import ServicingError
from twinroot.agent.servicing.container import refuse_container


@pytest.mark.parametrize(
    ("said", "marked", "inner"),
    [
        (None, False, None),
        (None, True, "docker-environment-var-check"),
        ("true", True, "host-root-mount-check"),
        ("true", False, "host-root-mount-check"),
        ("false", True, None),
    ],
)
def test_which_containers_are_refused(tmp_path: Path, said: str | None, marked: bool, inner: str | None) -> None:
    mark = tmp_path / ".dockerenv"
    if marked:
        mark.touch()
    found = None
    try:
        refuse_container({} if said is None else {"DOCKER_ENVIRONMENT": said}, mark)
    except ServicingError as error:
        found = error.inner
        assert (error.name, error.category) == ("container-configuration", "initialization")
    assert found == inner
