"""Copies of the agent's log beside the datastore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from twinroot.agent.kept_logs import FAILED, KEPT, KEPT_FAILED, copy_name, drop_oldest, is_kept, keep_log
from twinroot.agent.states import State

NOW = datetime(2026, 11, 26, 4, 30, 12, tzinfo=UTC)
NAME = "trident-AbUpdateStaged-20261126T043012Z.log"


def test_the_name() -> None:
    assert copy_name(State.AB_UPDATE_STAGED, NOW) == NAME


def test_what_is_kept() -> None:
    assert {state for state in State if not is_kept(state)} == {
        State.NOT_PROVISIONED,
        State.PROVISIONED,
        State.AB_UPDATE_HEALTH_CHECK_FAILED,
    }


def test_the_newest_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "full.log"
    log.write_text("all of it\n")
    directory = tmp_path / "datastore"
    directory.mkdir()
    others = ["datastore.sqlite", "trident-health-check-failure-20200101T000000Z.log", "trident-notes.log"]
    old = [copy_name(State.AB_UPDATE_FINALIZED, NOW.replace(year=2000 + number)) for number in range(KEPT)]
    for name in [*others, *old]:
        (directory / name).touch()
    keep_log(log, directory, State.AB_UPDATE_STAGED, NOW.replace(year=2001))
    keep_log(log, directory, State.AB_UPDATE_STAGED, NOW)
    found = {path.name for path in directory.iterdir()}
    assert len(found) == KEPT + len(others)
    assert {*others, *old[2:], NAME} <= found
    assert old[0] not in found
    assert (directory / NAME).read_text() == "all of it\n"


@pytest.mark.parametrize("missing", ["full.log", "datastore"])
def test_servicing_goes_on_without_a_copy(tmp_path: Path, missing: str, caplog: pytest.LogCaptureFixture) -> None:
    for name in {"full.log", "datastore"} - {missing}:
        (tmp_path / name).mkdir() if name == "datastore" else (tmp_path / name).touch()
    keep_log(tmp_path / "full.log", tmp_path / "datastore", State.AB_UPDATE_STAGED, NOW)
    assert "The log was not copied" in caplog.text


def test_failures_do_not_drive_out_what_succeeded(tmp_path: Path) -> None:
    log = tmp_path / "full.log"
    log.write_text("all of it\n")
    keep_log(log, tmp_path, State.AB_UPDATE_FINALIZED, NOW)
    for day in range(KEPT_FAILED + 5):
        keep_log(log, tmp_path, FAILED, NOW.replace(year=2030 + day))
    names = sorted(path.name for path in tmp_path.glob("trident-*"))
    assert len(names) == KEPT_FAILED + 1
    assert names[0] == copy_name(State.AB_UPDATE_FINALIZED, NOW)
    assert names[1] == "trident-Failed-20351126T043012Z.log"


def test_the_oldest_goes_first(tmp_path: Path) -> None:
    for name in (NAME, "trident-Failed-20200101T000000Z.log", "trident-notes.log"):
        (tmp_path / name).touch()
    assert drop_oldest(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "trident-notes.log"]
    assert drop_oldest(tmp_path) and not drop_oldest(tmp_path)
