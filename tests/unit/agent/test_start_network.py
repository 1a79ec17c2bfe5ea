"""`trident start-network`: whose network it is, and what a failure is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.agent.datastore import Datastore
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.osconfig.network import NETPLAN
from twinroot.agent.start_network import is_installed, network_of, start_network
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.load_host import parse_host_config

OWN = "managementOs: {netplan: {version: 2, ethernets: {own: {dhcp4: true}}}}\n"
TARGET = "os: {netplan: {version: 2, ethernets: {target: {dhcp4: true}}}}\n"


def config(text: str) -> HostConfig:
    return parse_host_config("trident: {disable: true}\n" + text, "host.yaml").config


@pytest.fixture
def netplan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, which says what it was called with and ends as the file `code` says."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "code").write_text("0")
    (place / "netplan").write_text(
        f'#!/bin/sh\necho "$1" > {place}/seen\necho "no such card" >&2\nexit $(cat {place}/code)\n'
    )
    (place / "netplan").chmod(0o755)
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{place}:/usr/bin:/bin")
    return place


@pytest.mark.parametrize(("text", "card"), [(OWN + TARGET, "own"), (OWN, "own"), (TARGET, "target")])
def test_whose_network(netplan: Path, tmp_path: Path, text: str, card: str) -> None:
    assert start_network(config(text), tmp_path / "root")
    written = (tmp_path / "root" / NETPLAN.removeprefix("/")).read_text()
    assert f"{card}:" in written and "network:" in written
    assert (netplan / "seen").read_text() == "apply\n"


def test_no_network(netplan: Path, tmp_path: Path) -> None:
    assert network_of(config("")) is None
    assert not start_network(config(""), tmp_path / "root")
    assert not (tmp_path / "root").exists() and not (netplan / "seen").exists()


def test_a_network_that_cannot_be_started(netplan: Path, tmp_path: Path) -> None:
    (netplan / "code").write_text("78")
    with pytest.raises(ServicingError, match=r"cannot be started: .*no such card") as caught:
        start_network(config(TARGET), tmp_path / "root")
    assert caught.value.record()["error"] == "start-network"


def test_an_installed_machine_has_its_network(tmp_path: Path) -> None:
    """A configuration that an update refused must not come true at the next boot."""
    path = tmp_path / "datastore.sqlite"
    assert not is_installed(path)
    # Of an installation that failed before it had begun there is only an error.
    failed, installed = HostStatus(last_error="no"), HostStatus(servicing_state=State.PROVISIONED)
    for found, expected in [(HostStatus(is_management_os=True), False), (failed, False), (installed, True)]:
        with Datastore.create(path) as datastore:
            datastore.write(found)
        assert is_installed(path) is expected
