"""Who restarts the machine when the daemon has done something: nothing of the kind happens to that of the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tools.daemon_place import PATIENCE, Place, asked, place_in, talk, version, wait_until

from twinroot import __version__
from twinroot.agent.remote import trident_v1_pb2 as v1

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon needs root")

COMMIT, STAGE = "CommitService/Commit", "UpdateService/UpdateStage"
CALLER = v1.RebootManagement(handling=v1.CALLER_HANDLES_REBOOT)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path) as found:
        yield found


# In place of the command that a machine would be needed for; the daemon itself is the real one.
WANTS_RESTART = """
import json, sys
from twinroot.agent.remote.report import Report
from twinroot.agent.states import ServicingType
from twinroot.cli import trident
if "daemon" in sys.argv:
    sys.exit(trident.main())
print(json.dumps({"level": "INFO", "message": "done", "target": "t", "module": "m", "file": "f", "line": 1}))
path = sys.argv[sys.argv.index("--on-behalf") + 1]
open(path, "w").write(Report(True, ServicingType.AB_UPDATE).text())
"""


def restarting(place: Place) -> tuple[str, ...]:
    script = place.folder / "trident.py"
    script.write_text(WANTS_RESTART)
    return (sys.executable, str(script))


def test_the_agent_restarts_the_machine(place: Place) -> None:
    """After the answer, and after its server; the restart ends it."""
    daemon = place.start(program=restarting(place))
    done = asked(place.socket, COMMIT, v1.CommitRequest())[-1].completed
    assert (done.status, done.reboot_status) == (v1.STATUS_CODE_SUCCESS, v1.REBOOT_STARTED)
    assert done.servicing_kind == v1.SERVICING_KIND_AB_UPDATE
    wait_until(lambda: bool(place.restarts))
    assert place.restarts == ["reboot"]
    assert not place.socket.exists()
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 0


def test_the_caller_restarts_the_machine(place: Place) -> None:
    daemon = place.start(program=restarting(place))
    done = asked(place.socket, COMMIT, v1.CommitRequest(reboot=CALLER))[-1].completed
    assert (done.status, done.reboot_status) == (v1.STATUS_CODE_SUCCESS, v1.REBOOT_REQUIRED)
    staged = asked(place.socket, STAGE, v1.StageUpdateRequest(config=v1.HostConfiguration(config="os: {}")))[
        -1
    ].completed
    assert (staged.status, staged.error.kind) == (v1.STATUS_CODE_FAILURE, v1.INTERNAL_ERROR)
    assert talk(place.socket, version) == __version__
    daemon.terminate()
    assert (daemon.wait(PATIENCE), place.restarts) == (0, [])


def test_a_client_waits_for_the_restart(place: Place) -> None:
    """The machine's end ends it, as it does here."""
    place.start(program=restarting(place))
    with (place.folder / "client.log").open("wb") as log:
        client = subprocess.Popen(place.client_command("commit"), env=place.environment(), stderr=log)
    wait_until(lambda: "Waiting for the restart" in (place.folder / "client.log").read_text())
    wait_until(lambda: place.restarts == ["reboot"])
    assert client.poll() is None
    client.send_signal(signal.SIGTERM)
    assert client.wait(PATIENCE) == 0
