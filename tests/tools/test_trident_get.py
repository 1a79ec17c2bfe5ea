"""`trident get` on a machine with a datastore: the files of the machine are replaced in a mount namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.unit.agent.statuses import config, status

from twinroot.agent.datastore import Datastore
from twinroot.agent.states import State

SCRIPT = 'mount --bind "$1" /etc && shift && exec "$@"'
ERROR = {"message": "no", "error": "a", "category": "servicing", "cause": None}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "etc/trident").mkdir(parents=True)
    (tmp_path / "etc/trident/trident.conf").write_text(f"DatastorePath={tmp_path}/state.sqlite\n")
    with Datastore.create(tmp_path / "state.sqlite") as store:
        store.write(status(State.AB_UPDATE_FINALIZED, config("2"), config("1"), ab_active_volume="volume-a"))
        store.write(status(State.PROVISIONED, config("2"), ab_active_volume="volume-b"))
    return tmp_path


def trident(machine: Path, *words: object) -> subprocess.CompletedProcess[str]:
    inside = [sys.executable, "-m", "twinroot.cli.trident", *map(str, words)]
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh", str(machine / "etc"), *inside]
    return subprocess.run(argv, capture_output=True, text=True, env=dict(os.environ))


@pytest.mark.parametrize(
    ("kind", "key", "expected"),
    [
        (None, "servicingState", "provisioned"),
        ("status", "tridentVersion", "0.22.0"),
        ("configuration", "image", {"url": "https://images.example/os.cosi", "sha384": "2" * 96}),
        ("rollback-target", "image", {"url": "https://images.example/os.cosi", "sha384": "1" * 96}),
        ("rollback-chain", 0, None),
    ],
)
def test_get(machine: Path, kind: str | None, key: object, expected: object) -> None:
    result = trident(machine, "get", *filter(None, [kind]))
    assert (result.returncode, result.stderr) == (0, "")
    found = yaml.safe_load(result.stdout)
    assert expected is None or found[key] == expected
    assert kind != "rollback-chain" or [each["kind"] for each in found] == ["ab"]


def test_the_last_error(machine: Path) -> None:
    assert trident(machine, "get", "last-error").stdout == "null\n"
    with Datastore.create(machine / "state.sqlite") as store:
        store.write(status(State.PROVISIONED, config("2"), last_error=ERROR))
    assert yaml.safe_load(trident(machine, "get", "last-error").stdout) == ERROR


def test_to_a_file(machine: Path) -> None:
    result = trident(machine, "get", "-o", machine / "status.yaml")
    assert (result.returncode, result.stdout) == (0, "")
    assert yaml.safe_load((machine / "status.yaml").read_text())["abActiveVolume"] == "volume-b"
    result = trident(machine, "get", "--outfile", machine / "absent/status.yaml")
    assert (result.returncode, "mkdir -p" in result.stderr) == (2, True)


def test_a_machine_without_a_datastore(machine: Path) -> None:
    (machine / "state.sqlite").unlink()
    result = trident(machine, "get")
    assert result.returncode == 2
    assert "there is no datastore at" in result.stderr
    assert not (machine / "state.sqlite").exists()


def test_a_wrong_kind(machine: Path) -> None:
    assert trident(machine, "get", "everything").returncode == 2
