"""Opening images by URL: what each scheme leads to, and that a wrong hash or a damaged file is never opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.registry.servers import Request, Scripted, digest_of
from tests.unit.agent.small_cosi import write_cosi
from tests.unit.agent.storage.range_server import RangeServer

from twinroot.agent.storage.image_source import (
    FileLocation,
    Location,
    RegistryLocation,
    WebLocation,
    location_of,
    open_image,
)
from twinroot.agent.stream import write_image
from twinroot.config.registry_reference import Reference
from twinroot.errors import FormatError, InputError
from twinroot.units import MIB

CONTENTS = os.urandom(3 * MIB)


@pytest.fixture
def cosi(tmp_path: Path) -> Path:
    return write_cosi(tmp_path / "os.cosi", CONTENTS)


@pytest.fixture
def server(cosi: Path) -> Iterator[RangeServer]:
    with RangeServer(cosi.read_bytes()).running() as running:
        yield running


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/a b/os.cosi", FileLocation(Path("/a b/os.cosi"))),
        ("file:///a%20b/os.cosi", FileLocation(Path("/a b/os.cosi"))),
        ("file:/os.cosi", FileLocation(Path("/os.cosi"))),
        ("file://localhost/os.cosi", FileLocation(Path("/os.cosi"))),
        ("https://h/os.cosi?sig=secret", WebLocation("https://h/os.cosi?sig=secret", "https://h/os.cosi")),
        ("http://u:p%40@h:8/o", WebLocation("http://h:8/o", "http://h:8/o", ("u", "p@"))),
        ("oci://h:5/a/b:1", RegistryLocation(Reference("h:5", "a/b", "1"))),
    ],
)
def test_locations(url: str, location: Location) -> None:
    assert location_of(url) == location


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/a", "file://host/a", "oci://UPPER", "relative/path", "file:relative", "http://[::1/x", "http://h\0/x",
    ],
)  # fmt: skip
def test_what_is_no_location(url: str) -> None:
    with pytest.raises(InputError):
        location_of(url)


def metadata_hash(path: Path) -> str:
    with open_image(str(path), "ignored") as file:
        member = file.members["metadata.json"]
        data = path.read_bytes()[member.data : member.data + member.size]
    assert file.metadata_sha384 == hashlib.sha384(data).hexdigest()
    return file.metadata_sha384


@pytest.mark.parametrize("scheme", ["path", "file", "http"])
def test_an_image_is_read_and_deployed(cosi: Path, server: RangeServer, tmp_path: Path, scheme: str) -> None:
    url = {"path": str(cosi), "file": f"file://{cosi}", "http": server.url}[scheme]
    (tmp_path / "target").write_bytes(bytes(4 * MIB))
    server.cut_after, server.cuts = 2 * MIB, 1
    with open_image(url, metadata_hash(cosi)) as file:
        write_image(file, file.metadata.images[0].image, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENTS + bytes(MIB)
    assert scheme != "http" or (len(server.ranges) < 8 and server.cuts == 0)


def test_another_hash_is_refused(cosi: Path, server: RangeServer) -> None:
    for url in (str(cosi), server.url):
        with pytest.raises(FormatError, match="the SHA-384 of the metadata is"), open_image(url, "0" * 96):
            pass


def test_metadata_that_were_changed_are_not_looked_at(cosi: Path) -> None:
    wanted = metadata_hash(cosi)
    cosi.write_bytes(cosi.read_bytes().replace(b'"x86_64"', b'"x86_65"', 1))
    with pytest.raises(FormatError, match="the SHA-384 of the metadata is"), open_image(str(cosi), wanted):
        pass


@pytest.mark.parametrize("length", [0, 100, 2000, 2 * MIB])
def test_a_truncated_file_on_a_server(server: RangeServer, length: int) -> None:
    server.data = server.data[:length]
    with pytest.raises(FormatError, match="cut off"), open_image(server.url, "ignored"):
        pass


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path, "no plain file"), (tmp_path / "pipe", "no plain file"), (tmp_path / "x", "No such")):
        with pytest.raises(InputError, match=said), open_image(str(path), "ignored"):
            pass


@pytest.fixture
def registry(cosi: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Scripted]:
    monkeypatch.setenv("HOME", str(tmp_path))
    with Scripted().running() as running:
        yield running


def ranged(registry: Scripted) -> None:
    """Have the registry understand ranges that end, which its own answers do not."""

    def answer(request: Request) -> bool:
        wanted = request.headers.get("Range", "").removeprefix("bytes=")
        found = registry.content.get(request.path.removeprefix("/v2/"))
        if not wanted or found is None or wanted.endswith("-"):
            return False
        start, last = (int(part) for part in wanted.split("-"))
        last = min(last, len(found[1]) - 1)
        shown = f"bytes {start}-{last}/{len(found[1])}"
        request.reply(206, found[1][start : last + 1], Content_Range=shown)
        return True

    registry.answer = answer


def test_an_image_in_a_registry(cosi: Path, registry: Scripted, tmp_path: Path) -> None:
    ranged(registry)
    registry.put("os/image", "1", {"os.cosi": cosi.read_bytes()})
    blob = digest_of(cosi.read_bytes())
    (tmp_path / "target").write_bytes(bytes(3 * MIB))
    for selector in (":1", f"@{blob}"):
        with open_image(f"oci://{registry.host}/os/image{selector}", metadata_hash(cosi)) as file:
            write_image(file, file.metadata.images[0].image, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == CONTENTS


def test_an_artifact_with_two_layers(registry: Scripted) -> None:
    registry.put("os/image", "1", {"a": b"a", "b": b"b"})
    with (
        pytest.raises(InputError, match="has 2 layers"),
        open_image(f"oci://{registry.host}/os/image:1", "ignored"),
    ):
        pass


def test_advice_is_for_a_machine_without_our_commands(registry: Scripted) -> None:
    def refuse(request: Request) -> bool:
        request.reply(401, WWW_Authenticate='Basic realm="r"')
        return True

    registry.answer = refuse
    with (
        pytest.raises(InputError, match="the registry wants credentials") as caught,
        open_image(f"oci://{registry.host}/os/image:1", "ignored"),
    ):
        pass
    assert caught.value.hint == f"put credentials for {registry.host} into /root/.docker/config.json"
