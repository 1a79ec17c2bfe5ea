"""`twinroot push` into a real registry, read back as others read it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.images import Finished, command
from tests.registry.servers import CuttingProxy, Registry, Request, Scripted, digest_of
from tests.registry.test_pull import MIB, pull
from tests.unit.formats.cosi_samples import plan
from twinroot.config.registry_reference import Reference
from twinroot.errors import NetworkError
from twinroot.events import silent
from twinroot.formats.cosi.writer import write_cosi
from twinroot.registry import retry
from twinroot.registry.access import Access
from twinroot.registry.client import Client
from twinroot.registry.manifest import OCI_INDEX, OCI_MANIFEST, TITLE
from twinroot.registry.push import Push
from twinroot.registry.push import push as push_files


def push(*arguments: object) -> Finished:
    return command("main", "push", *arguments)


def document(registry: Registry, repository: str, selector: str, kind: str = OCI_MANIFEST) -> dict[str, Any]:
    connection = registry.connection()
    connection.request("GET", f"/v2/{repository}/manifests/{selector}", headers={"Accept": kind})
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def test_what_is_pushed_comes_back(plain: Registry, tmp_path: Path) -> None:
    files = {"disk.raw": os.urandom(40 * MIB), "notes.txt": b"hello", "empty.bin": b""}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    reference = f"{plain.host}/pushed/files:1"
    done = push(*(tmp_path / name for name in files), reference, "--annotation", "org.example.a=b=c")
    assert done.code == 0, done.stderr
    found = document(plain, "pushed/files", "1")
    assert done.stdout.strip().startswith(f"{plain.host}/pushed/files@sha256:")
    assert found["artifactType"] == "application/vnd.twinroot.image.v1"
    assert found["annotations"]["org.example.a"] == "b=c"
    assert [layer["mediaType"] for layer in found["layers"]] == [
        "application/vnd.twinroot.disk.v1+raw", "text/plain", "application/octet-stream",
    ]  # fmt: skip
    assert pull(reference, tmp_path / "out").code == 0
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in files.items())


def test_a_cosi_file_is_the_one_layer_that_the_agent_wants(plain: Registry, tmp_path: Path) -> None:
    cosi = tmp_path / "image.cosi"
    write_cosi(cosi, plan())
    assert push(cosi, f"{plain.host}/cosi:1").code == 0
    found = document(plain, "cosi", "1")
    (layer,) = found["layers"]
    assert layer["mediaType"] == "application/vnd.twinroot.cosi.v1+tar"
    assert layer["annotations"] == {TITLE: "image.cosi"}
    assert layer["digest"] == digest_of(cosi.read_bytes())
    assert found["annotations"]["org.twinroot.cosi.version"] == "1.2"
    # As the agent reads it: the blob by ranges.
    connection = plain.connection()
    connection.request("GET", f"/v2/cosi/blobs/{layer['digest']}", headers={"Range": "bytes=10-19"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (206, cosi.read_bytes()[10:20])
    connection.close()
    (tmp_path / "second.txt").write_text("x")
    assert "a COSI file is pushed alone" in push(cosi, tmp_path / "second.txt", f"{plain.host}/cosi:2").stderr
    (tmp_path / "broken.cosi").write_text("x" * 2000)
    assert "only whole COSI files are pushed" in push(tmp_path / "broken.cosi", f"{plain.host}/cosi:2").stderr


@pytest.mark.parametrize(
    ("image_format", "kind"), [("qcow2", "qcow2"), ("vhdx", "vhdx"), ("vpc", "vhd"), ("raw", "raw")]
)
def test_disk_images_are_known_by_their_content(plain: Registry, tmp_path: Path, image_format: str, kind: str) -> None:
    path = tmp_path / ("image.raw" if kind == "raw" else "image")
    subprocess.run(["qemu-img", "create", "-q", "-f", image_format, path, "1M"], check=True)
    assert push(path, f"{plain.host}/formats:{kind}").code == 0
    (layer,) = document(plain, "formats", kind)["layers"]
    assert layer["mediaType"] == f"application/vnd.twinroot.disk.v1+{kind}"


def test_an_index_grows_by_platform(plain: Registry, tmp_path: Path) -> None:
    reference = f"{plain.host}/many:1"
    for architecture, data in (("amd64", b"one"), ("arm64", b"two"), ("amd64", b"three")):
        (tmp_path / "f.raw").write_bytes(data)
        done = push(tmp_path / "f.raw", reference, "--platform", f"linux/{architecture}")
        assert done.code == 0, done.stderr
    found = document(plain, "many", "1", OCI_INDEX)
    assert [entry["platform"]["architecture"] for entry in found["manifests"]] == ["arm64", "amd64"]
    for architecture, data in (("amd64", b"three"), ("arm64", b"two")):
        assert pull(reference, tmp_path / architecture, "--platform", f"linux/{architecture}").code == 0
        assert (tmp_path / architecture / "f.raw").read_bytes() == data
    assert push(tmp_path / "f.raw", f"{plain.host}/many:2").code == 0
    done = push(tmp_path / "f.raw", f"{plain.host}/many:2", "--platform", "linux/amd64")
    assert "the tag names an artifact, not an image index" in done.stderr


def test_an_upload_that_was_cut_goes_on(plain: Registry, tmp_path: Path) -> None:
    data = os.urandom(40 * MIB)
    (tmp_path / "f.raw").write_bytes(data)
    proxy = CuttingProxy(int(plain.host.split(":")[1]), 20 * MIB, upward=True, most_cuts=2)
    with proxy.running():
        done = push(tmp_path / "f.raw", f"127.0.0.1:{proxy.port}/cut-upload:1")
    assert done.code == 0, done.stderr
    assert proxy.cuts == 2
    digest = hashlib.sha256(data).hexdigest()
    stored = plain.store / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    assert stored.read_bytes() == data
    # What is there is not sent again.
    again = CuttingProxy(int(plain.host.split(":")[1]), 20 * MIB, upward=True)
    with again.running():
        assert push(tmp_path / "f.raw", f"127.0.0.1:{again.port}/cut-upload:2").code == 0
    assert again.passed < MIB


class Keeping:
    """Uploads as the specification has them: what came of a piece that was cut is kept. `cuts` are sizes."""

    def __init__(self, cuts: list[int]) -> None:
        self.cuts = cuts
        self.stored: dict[str, bytearray] = {}
        self.received = 0

    def __call__(self, request: Request) -> bool:
        path = request.path.partition("?")[0]
        if "/uploads/" in path:
            upload = self.stored.setdefault("large" if request.command == "PATCH" else "any", bytearray())
            upload = self.stored.get("large", upload)
            if request.command == "GET":
                request.reply(204, Location=path, Range=f"0-{len(upload) - 1}")
            elif request.command == "PATCH":
                self._patch(request, upload)
            else:
                request.rfile.read(int(request.headers.get("Content-Length", "0")))
                request.reply(202 if request.command == "POST" else 201, Location="/v2/a/blobs/uploads/1")
            return True
        if request.command == "PUT":
            request.rfile.read(int(request.headers["Content-Length"]))
            request.reply(201)
        return request.command == "PUT"

    def _patch(self, request: Request, upload: bytearray) -> None:
        length = int(request.headers["Content-Length"])
        assert request.headers["Content-Range"].startswith(f"{len(upload)}-")
        wanted = min(length, self.cuts.pop(0)) if self.cuts else length
        upload += request.rfile.read(wanted)
        self.received += wanted
        if wanted < length:
            request.close_connection = True
        else:
            request.reply(202, Location="/v2/a/blobs/uploads/1", Range=f"0-{len(upload) - 1}")


def test_a_registry_that_keeps_parts_gets_nothing_twice(scripted: Scripted, tmp_path: Path) -> None:
    data = os.urandom(24 * MIB)
    (tmp_path / "f.raw").write_bytes(data)
    keeping = Keeping([5 * MIB, 1, 7 * MIB])
    scripted.answer = keeping
    done = push(tmp_path / "f.raw", f"{scripted.host}/a:1")
    assert done.code == 0, done.stderr
    assert keeping.stored["large"] == data
    assert keeping.received == len(data)


def test_a_registry_that_never_gets_further_is_given_up(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_FIRST", 0.01)
    (tmp_path / "f.raw").write_bytes(bytes(MIB))
    scripted.answer = Keeping([0] * 100)
    with (
        Client(Reference(scripted.host, "a"), Access(plain_http=True)) as client,
        pytest.raises(NetworkError, match="the connection does not work"),
    ):
        push_files(client, Push((tmp_path / "f.raw",)), silent)
    assert sum(method == "PATCH" for method, _ in scripted.requests) == retry.MAX_ATTEMPTS


def test_mistakes_before_anything_is_sent(scripted: Scripted, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/f").write_text("y")
    tag = f"{scripted.host}/a:1"
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "absent", tag], "there is no such file"),
        ([tmp_path, tag], "this is no file"),
        ([tmp_path / "f", f"{scripted.host}/a@{digest_of(b'')}"], "a tag is wanted, not a digest"),
        ([tmp_path / "f", tmp_path / "sub/f", tag], "two files of the artifact have the name 'f'"),
        ([tmp_path / "f", tag, "--annotation", "x"], "--annotation wants KEY=VALUE"),
        ([tmp_path / "f", tag, "--platform", "a/b/c/d"], "is not a platform"),
    ]
    for arguments, message in cases:
        done = push(*arguments)
        assert done.code == 1
        assert message in done.stderr
    assert [method for method, _ in scripted.requests if method != "GET"] == []


def test_a_registry_that_lets_nobody_write(scripted: Scripted, tmp_path: Path) -> None:
    def closed(request: Request) -> bool:
        if request.command != "GET":
            request.reply(403 if request.command == "POST" else 404)
        return request.command != "GET"

    scripted.answer = closed
    (tmp_path / "f").write_text("x")
    done = push(tmp_path / "f", f"{scripted.host}/a:1")
    assert done.code == 1
    assert "access is denied" in done.stderr
    assert f"twinroot login {scripted.host}" in done.stderr
