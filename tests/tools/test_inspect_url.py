"""`inspect` and `verify` of COSI files on a server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.images import command
from tests.unit.agent.disk_cosi import Part, write_disk_cosi
from tests.unit.agent.storage.range_server import RangeServer

from twinroot.units import MIB


@pytest.fixture
def cosi(tmp_path: Path) -> Path:
    parts = (Part(os.urandom(2 * MIB), 2, "/boot/efi", "vfat"), Part(os.urandom(3 * MIB), 4, "/"))
    return write_disk_cosi(tmp_path / "os.cosi", *parts, disk_size=16 * MIB)


@pytest.fixture
def server(cosi: Path) -> Iterator[RangeServer]:
    with RangeServer(cosi.read_bytes()).running() as running:
        yield running


def test_inspect(cosi: Path, server: RangeServer) -> None:
    """As of the file, of which little is fetched."""
    found, of_file = (json.loads(command("main", "inspect", image, "--json").stdout) for image in (server.url, cosi))
    assert (found.pop("file"), found.pop("allocatedSize")) == (server.url, 0)
    assert (of_file.pop("file"), of_file.pop("allocatedSize") > 0) == (str(cosi), True)
    assert found == of_file
    assert server.sent < MIB


def test_verify(cosi: Path, server: RangeServer) -> None:
    done = command("main", "verify", server.url)
    assert done.code == 0 and done.stdout == command("main", "verify", cosi).stdout.replace(str(cosi), server.url)
    damaged = bytearray(server.data)
    damaged[3 * MIB] ^= 1
    server.data = bytes(damaged)
    done = command("main", "verify", server.url, "--json")
    found = json.loads(done.stdout)
    assert (done.code, found["file"], [error["rule"] for error in found["errors"]]) == (1, server.url, ["C4"])


@pytest.mark.parametrize("name", ["inspect", "verify"])
def test_what_cannot_be_read(name: str, server: RangeServer) -> None:
    server.data = server.data[: 2 * MIB]
    for url, said in ((server.url, "cut off"), ("http://[::1/os.cosi", "no URL"), ("oci://UPPER", "oci://UPPER")):
        done = command("main", name, url)
        assert (done.code, done.stdout) == (1, "") and said in done.stderr and "Traceback" not in done.stderr
