"""Updates of the running system that fail: what is put back, what is not, and what is said of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.isolated import isolated

from twinroot.agent.servicing.runtime import left_alone
from twinroot.config.load_host import parse_host_config

# netplan fails as often as the file says; its files land in an /etc of our own.
_UPDATE = """
import subprocess
from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.datastore import Datastore
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.servicing.agent import Agent, service
from twinroot.agent.decide import Allowed
from twinroot.agent.servicing.roll_back import roll_back
from twinroot.agent.servicing.runtime import finalize
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.load_host import parse_host_config

place = Path(sys.argv[1])
subprocess.run(["mount", "--bind", place / "etc", "/etc"], check=True)
os.environ["TWINROOT_TOOL_PATH"] = f"{place}/bin:/usr/bin:/bin"
text = "trident: {disable: true}\\nos: {netplan: {version: 2, ethernets: {new: {dhcp4: true}}}}\\n"
new = parse_host_config(text, "host.yaml").config
agent = Agent(place / "datastore.sqlite", EfiVariables(place), lock=place / "run/lock")
with Datastore.create(agent.datastore) as datastore:
    datastore.write(HostStatus(servicing_state=State(sys.argv[2]), spec=new, spec_old=HostConfig()))
error = None
try:
    if sys.argv[2] == State.RUNTIME_UPDATE_STAGED:
        service(agent, lambda ledger: finalize(agent, ledger))
    else:
        service(agent, lambda ledger: roll_back(agent, ledger, None, Allowed(stage=False)))
except ServicingError as caught:
    error = caught
with Datastore.open(agent.datastore) as datastore:
    found = datastore.status()
print(json.dumps([error.name, error.message, found.servicing_state, found.spec == new]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("bin", "etc"):
        (tmp_path / name).mkdir()
    program = tmp_path / "bin/netplan"
    program.write_text(
        f'#!/bin/sh\nleft=$(cat {tmp_path}/failures)\ntest "$left" -gt 0 || exit 0\n'
        f'echo $((left - 1)) > {tmp_path}/failures\necho "no such card" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the agent does")
@pytest.mark.parametrize("before", ["runtime-update-staged", "manual-rollback-runtime-staged"])
@pytest.mark.parametrize(("failures", "kept"), [(1, False), (9, True)])
def test_a_network_that_cannot_be_applied(place: Path, failures: int, kept: bool, before: str) -> None:
    """An update, or the undoing of one: the machine goes back to what it was, if it can."""
    state = before if kept else "provisioned"
    (place / "failures").write_text(f"{failures}\n")
    name, message, found, is_new = isolated(_UPDATE, place, before)
    assert "no such card" in message
    assert ("could not go back to what it was" in message) is kept
    assert (found, is_new) == (state, kept)
    assert name


def test_files_that_nobody_takes_away() -> None:
    def config(*names: str) -> str:
        files = "".join(f"\n    - {{destination: {name}, content: x}}" for name in names)
        return f"trident: {{disable: true}}\nos:\n  additionalFiles:{files or ' []'}\n"

    old, new = (parse_host_config(config(*names), "host.yaml").config for names in (("/c", "/b", "/a"), ("/b", "/d")))
    assert left_alone(old, new) == ["/a", "/c"]
    assert left_alone(new, new) == []
