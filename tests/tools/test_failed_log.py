"""What is left of a command that failed, when later ones have begun the log anew."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
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


def trident(place: Place, *words: str) -> int:
    done = subprocess.run(place.command(*words), env=place.environment(), capture_output=True, check=False)
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
