"""What is left of a command that failed, when later ones have begun the log anew."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from tests.tools.daemon_place import Place, place_in
from tests.unit.agent.statuses import config, status

from twinroot.agent.datastore import Datastore
from twinroot.agent.errors import STAGING_BEGAN, ServicingError
from twinroot.agent.states import State

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="commands of the agent need root")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path) as found:
        yield found


def test_a_refused_installation_leaves_no_status(place: Place) -> None:
    """A machine that was started from an image has none, and can be told what it is."""
    (place.folder / "cmdline").write_text("root=UUID=1 quiet\n")
    config = place.folder / "host.yaml"
    config.write_text("trident: {disable: true}\n")
    cover = f'mount --bind {place.folder}/cmdline /proc/cmdline && exec "$@"'
    argv = place.command("install", str(config), before=["sh", "-c", cover, "sh"])
    done = subprocess.run(argv, env=place.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "runs from its disk" in done.stderr) == (2, True)
    assert list((place.folder / "lib/trident").iterdir()) == []


WRONG = "os:\n  users: [{name: a}, {name: a}]\n"


def rows(place: Place) -> int:
    with Datastore.open(place.folder / "lib/trident/datastore.sqlite") as datastore:
        return len(list(datastore.history()))


def last_error(place: Place) -> dict[str, Any] | None:
    with Datastore.open(place.folder / "lib/trident/datastore.sqlite") as datastore:
        found = datastore.status()
    assert found is not None
    return cast("dict[str, Any] | None", found.last_error)


@pytest.mark.parametrize("command_line", ["root=UUID=1 quiet", "root=live:LABEL=x root=/dev/ram0"])
def test_an_installer_tells_of_a_wrong_configuration(place: Place, command_line: str) -> None:
    (place.folder / "cmdline").write_text(f"{command_line}\n")
    (place.folder / "host.yaml").write_text(WRONG)
    cover = f'mount --bind {place.folder}/cmdline /proc/cmdline && exec "$@"'
    argv = place.command("install", str(place.folder / "host.yaml"), before=["sh", "-c", cover, "sh"])
    done = subprocess.run(argv, env=place.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "host.yaml:2:" in done.stderr) == (2, True)
    if "live" not in command_line:  # this is an installed machine, or one that was started from an image
        assert list((place.folder / "lib/trident").iterdir()) == []
        return
    error = last_error(place)
    assert error is not None and "invalid-host-configuration-static" in error["error"]


@pytest.mark.parametrize(
    ("state", "before", "noted"),
    [
        (State.PROVISIONED, None, True),
        (State.PROVISIONED, "deploy-images", True),
        (State.PROVISIONED, STAGING_BEGAN, False),
        (State.AB_UPDATE_HEALTH_CHECK_FAILED, "health-checks-failed", False),
    ],
)
def test_the_status_tells_of_a_wrong_configuration(place: Place, state: State, before: str | None, noted: bool) -> None:
    """But hides by it no error that says what a half of the machine is."""
    error = ServicingError(before, "no").record() if before else None
    place.put(status(state, config(), last_error=error))
    (place.folder / "wrong.yaml").write_text(WRONG)
    assert trident(place, "update", str(place.folder / "absent.yaml")) == 2
    assert last_error(place) == error
    assert trident(place, "update", str(place.folder / "wrong.yaml")) == 2
    found = last_error(place)
    assert (found != error) == noted
    assert not noted or "invalid-host-configuration-static" in (found or {})["error"]


def test_the_same_mistake_is_noted_once(place: Place) -> None:
    """With a few problems only, and with no password of a URL."""
    place.put(status(State.PROVISIONED, config()))
    users = ", ".join("{name: 'https://me:geheim@host'}" for _ in range(20))
    for folder in ("one", "two"):
        (place.folder / folder).mkdir()
        (place.folder / folder / "wrong.yaml").write_text(f"trident: {{disable: true}}\nos: {{users: [{users}]}}\n")
        assert trident(place, "update", str(place.folder / folder / "wrong.yaml")) == 2
    error = last_error(place)
    assert rows(place) == 2 and error is not None
    lines = error["message"].splitlines()
    assert lines[0].startswith("wrong.yaml:2:") and len(lines) <= 6 and lines[-1].endswith("more problems")
    assert "geheim" not in error["message"] and str(place.folder) not in error["message"]


FAILING = "CREATE TRIGGER none BEFORE INSERT ON hoststatus BEGIN SELECT RAISE(ABORT, 'the disk is broken'); END"


def test_mistakes_are_told_where_they_cannot_be_noted(place: Place) -> None:
    place.put(status(State.PROVISIONED, config()))
    with closing(sqlite3.connect(place.folder / "lib/trident/datastore.sqlite")) as connection:
        connection.execute(FAILING)
    (place.folder / "host.yaml").write_text(WRONG)
    argv = place.command("update", str(place.folder / "host.yaml"), "-e", str(place.folder / "e.yaml"))
    done = subprocess.run(argv, env=place.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "host.yaml:2:" in done.stderr) == (2, True)
    assert "WARN" in done.stderr and "the disk is broken" in done.stderr
    assert "invalid-host-configuration-static" in (place.folder / "e.yaml").read_text()


@pytest.mark.parametrize("trouble", ["another command", "no datastore", "another command, and no status"])
def test_an_installer_tells_mistakes_in_any_case(place: Place, trouble: str) -> None:
    (place.folder / "cmdline").write_text("root=live:LABEL=x\n")
    (place.folder / "host.yaml").write_text(WRONG)
    (place.folder / "run/trident").mkdir()
    datastore = place.folder / "lib/trident/datastore.sqlite"
    words = ["install", str(place.folder / "host.yaml"), "-e", str(place.folder / "e.yaml")]
    if trouble != "another command":
        datastore.write_text("no database at all, but a text that is long enough to be taken for one" * 100)
        words += ["-s", str(place.folder / "s.yaml")]
    cover = f'mount --bind {place.folder}/cmdline /proc/cmdline && exec "$@"'
    argv = place.command(*words, before=["sh", "-c", cover, "sh"])
    with (place.folder / "run/trident/trident.lock").open("w") as lock:
        if "command" in trouble:
            fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(argv, env=place.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "host.yaml:2:" in done.stderr) == (2, True)
    assert "another command" in done.stderr or "not a database" in done.stderr
    assert "invalid-host-configuration-static" in (place.folder / "e.yaml").read_text()


def trident(place: Place, *words: str, before: Sequence[str] = ()) -> int:
    argv = place.command(*words, before=before)
    done = subprocess.run(argv, env=place.environment(), capture_output=True, check=False)
    return done.returncode


def test_its_log_is_kept(place: Place) -> None:
    place.put(status(State.PROVISIONED, config()))
    wrong = place.folder / "wrong.yaml"
    wrong.write_text("image: {url: 'file:///none.cosi', sha384: ignored}\nstorage: {}\n")
    assert trident(place, "update", str(wrong)) == 2
    assert trident(place, "commit") == 0
    [kept] = (place.folder / "lib/trident").glob("trident-Failed-*.log")
    last = json.loads(kept.read_text().splitlines()[-1])
    assert last["message"].startswith("the machine was not updated: ")
    # There is nothing to keep it beside.
    (place.folder / "lib/trident/datastore.sqlite").unlink()
    assert trident(place, "update", str(wrong)) == 2
    assert len(list((place.folder / "lib/trident").iterdir())) == 1


@pytest.mark.parametrize("words", [["install"], ["update"], ["commit", "-s", "/nowhere/status"]])
def test_the_log_of_another_command_is_not_taken_for_it(place: Place, words: list[str]) -> None:
    (place.folder / "cmdline").write_text("root=live:LABEL=x\n")
    place.put(status(State.NOT_PROVISIONED, config()))
    (place.folder / "host.yaml").write_text(WRONG)
    (place.folder / "run/trident").mkdir()
    cover = f'mount --bind {place.folder}/cmdline /proc/cmdline && exec "$@"'
    arguments = words if "-s" in words else [*words, str(place.folder / "host.yaml")]
    with (place.folder / "run/trident/trident.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert trident(place, *arguments, before=["sh", "-c", cover, "sh"]) == 2
    assert [path.name for path in (place.folder / "lib/trident").iterdir()] == ["datastore.sqlite"]


def test_in_a_container_nothing_is_done(place: Place) -> None:
    place.put(status(State.PROVISIONED, config()))
    for word in ("update", "commit", "install", "rollback", "stream-disk"):
        words = [word, *(["absent.cosi"] if word == "stream-disk" else []), "-e", str(place.folder / "e.yaml")]
        environment = {**place.environment(), "DOCKER_ENVIRONMENT": "true"}
        done = subprocess.run(place.command(*words), env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, "from where it cannot service a machine" in done.stderr) == (2, True)
        error = (place.folder / "e.yaml").read_text()
        assert "error:\n  container-configuration:\n    inner: host-root-mount-check\n" in error
        (place.folder / "e.yaml").unlink()
