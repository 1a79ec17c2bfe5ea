"""What is left of a command that a defect ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.tools.daemon_place import place_in
from tests.unit.agent.statuses import config, status

from twinroot.agent.datastore import Datastore
from twinroot.agent.states import State

_BROKEN = """
import sys
from twinroot.agent.remote.report import Report
from twinroot.agent.servicing.agent import service
from twinroot.cli.servicing import run_servicing
from twinroot.cli.trident import build_parser

def work(ledger):
    raise ValueError("nobody expected this")

where, *words = sys.argv[1:]
def perform(agent):
    if where == "outside":
        work(None)
    return service(agent, work).error, Report()

sys.exit(run_servicing(build_parser().parse_args(words), "it failed", perform))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="commands of the agent need root")
@pytest.mark.parametrize("where", ["inside", "outside"])
def test_a_defect_is_told_as_an_error(tmp_path: Path, where: str) -> None:
    with place_in(tmp_path) as place:
        place.put(status(State.PROVISIONED, config()))
        words = place.command(where, "commit", "-e", str(tmp_path / "e.yaml"), program=(sys.executable, "-c", _BROKEN))
        done = subprocess.run(words, env=place.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 2
        error = yaml.safe_load((tmp_path / "e.yaml").read_text())
        assert (error["error"], error["category"]) == ("panic", "internal")
        assert error["message"] == "ValueError: nobody expected this"
        lines = [json.loads(line) for line in (tmp_path / "log/trident-full.log").read_text().splitlines()]
        assert any("Traceback" in line["message"] and "in work" in line["message"] for line in lines)
        with Datastore.open(tmp_path / "lib/trident/datastore.sqlite") as datastore:
            found = datastore.status()
        assert found and (found.last_error == error) == (where == "inside")
