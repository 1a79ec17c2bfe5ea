"""Statuses that are printed as they are stored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.agent.statuses import config, status

from twinroot.agent.datastore import Datastore
from twinroot.agent.host_status import plain_status, read_status, write_status
from twinroot.agent.states import State
from twinroot.agent.stored import is_as_printed
from twinroot.config.host.normal import to_yaml

CURRENT = write_status(status(State.AB_UPDATE_STAGED, config("2"), config("1"), ab_active_volume="volume-a"))


def test_what_is_stored_now_is_what_would_be_printed() -> None:
    assert is_as_printed(CURRENT)
    assert to_yaml(plain_status(read_status(CURRENT, "row"))) == CURRENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        CURRENT.replace("0.22.0", "0.21.0"),
        CURRENT.removesuffix("tridentVersion: 0.22.0\n"),
        CURRENT + "other: 1\n",
        "servicingState: provisioned\ntridentVersion: 0.22.0\n",
        "tridentVersion: 0.22.0\n",
    ],
)
def test_others_are_read_first(text: str) -> None:
    assert not is_as_printed(text)


def test_the_latest_text(tmp_path: Path) -> None:
    with Datastore.create(tmp_path / "state.sqlite") as store:
        assert store.text() is None
        store.write(status(State.PROVISIONED, config("1")))
        store.write(status(State.PROVISIONED, config("2")))
        assert store.text() == write_status(status(State.PROVISIONED, config("2")))


def test_reading_the_latest_text_needs_no_models() -> None:
    code = "import sys, twinroot.agent.datastore, twinroot.agent.agent_config; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
