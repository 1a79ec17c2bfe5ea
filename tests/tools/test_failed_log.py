"""What is left of a command that failed, when later ones have begun the log anew."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tools.daemon_place import Place, place_in
from tests.unit.agent.statuses import config, status

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
