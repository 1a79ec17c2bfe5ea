"""`trident-update-poll` with a real server, a registry and a datastore; a script stands for the program `trident`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.registry.servers import Scripted
from tests.unit.agent.statuses import HASHES, config, status
from twinroot.agent import poll_memory
from twinroot.agent.datastore import Datastore
from twinroot.agent.poll import PollAction, Tried
from twinroot.agent.poll_memory import Memory
from twinroot.agent.poll_run import Poll
from twinroot.agent.poll_source import MAX_BYTES, Found, ask
from twinroot.agent.states import State
from twinroot.config.update_poll import UpdatePollConfig, Window
from twinroot.errors import BusyError, CommandError, ConfigError, FormatError, HostError, InputError, NetworkError
from twinroot.registry.session import _BUNDLES, _system_bundle, trust

OFFER = f"image: {{url: 'https://images.example/new.cosi', sha384: {HASHES['2']}}}\n"
NOON = datetime(2026, 11, 23, 12, 0)


@dataclass
class Server:
    """A static web server with one document."""

    url: str = ""
    body: bytes = OFFER.encode()
    etag: str | None = '"1"'
    code: int = 200
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("If-None-Match")
            found.asked.append(known)
            unchanged = found.code == 200 and found.etag and known == found.etag
            self.send_response(304 if unchanged else found.code)
            if found.etag:
                self.send_header("ETag", found.etag)
            self.send_header("Content-Length", "0" if unchanged else str(len(found.body)))
            self.end_headers()
            self.wfile.write(b"" if unchanged else found.body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        found.url = f"http://127.0.0.1:{http.server_address[1]}/offer.yaml"
        yield found
        http.shutdown()


def test_a_document_is_had_once(server: Server) -> None:
    first = ask(server.url, None)
    assert first == Found(server.url, '"1"', OFFER)
    assert ask(server.url, first) is first
    server.etag, server.body = '"2"', b"{}"
    assert ask(server.url, first) == Found(server.url, '"2"', "{}")
    assert server.asked == [None, '"1"', '"1"']
    ask(server.url, Found("https://elsewhere.example/", '"2"', "x"))
    assert server.asked[-1] is None, "what is known of another place says nothing"


def test_a_server_without_etags(server: Server) -> None:
    server.etag = None
    assert ask(server.url, ask(server.url, None)) == Found(server.url, None, OFFER)


@pytest.mark.parametrize(
    ("code", "body", "error", "says"),
    [
        (404, b"", InputError, "404"),
        (403, b"", InputError, "403"),
        (304, b"", InputError, "304"),
        (503, b"", NetworkError, "503"),
        (429, b"", NetworkError, "429"),
        (200, b"\xff\xfe", FormatError, "not text"),
        (200, b"#" * (MAX_BYTES + 1), FormatError, "longer than"),
    ],
)
def test_bad_answers(server: Server, code: int, body: bytes, error: type[Exception], says: str) -> None:
    server.code, server.body = code, body
    with pytest.raises(error, match=says):
        ask(server.url, None)


def test_certificates_are_trusted_without_those_of_a_library() -> None:
    assert _system_bundle() in _BUNDLES
    assert trust("a.example").cert_store_stats()["x509_ca"]


def test_nobody_answers() -> None:
    with pytest.raises(NetworkError, match="connection"):
        ask("http://127.0.0.1:9/offer.yaml", None)


def test_a_registry(scripted: Scripted) -> None:
    descriptor = scripted.put("fleet/offer", "stable", {"offer.yaml": OFFER.encode()})
    source = f"oci://{scripted.host}/fleet/offer:stable"
    first = ask(source, None)
    assert first == Found(source, descriptor["digest"], OFFER)
    before = len(scripted.requests)
    assert ask(source, first) is first
    assert not [path for _, path in scripted.requests[before:] if "/blobs/" in path]
    scripted.put("fleet/offer", "stable", {"offer.yaml": b"{}"})
    assert ask(source, first).text == "{}"


@pytest.mark.parametrize("files", [{}, {"a": b"1", "b": b"2"}, {"a": bytes(MAX_BYTES + 1)}])
def test_a_registry_with_something_else(scripted: Scripted, files: dict[str, bytes]) -> None:
    scripted.put("fleet/offer", "stable", files)
    with pytest.raises(FormatError, match="not one small file"):
        ask(f"oci://{scripted.host}/fleet/offer:stable", None)


@dataclass
class Machine:
    """A machine with a datastore, and a program `trident` that notes how it was called and ends with `code`."""

    root: Path
    poll: Poll

    def calls(self) -> list[str]:
        """The arguments of each call."""
        log = self.root / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def becomes(self, state: State, image: str) -> None:
        """What `trident` would have made of the status."""
        with Datastore.create(self.poll.datastore) as store:
            store.write(status(state, config(image)))

    def program(self, code: int = 0, said: str = "") -> None:
        """Put the program there. A successful staging is written to the datastore by a copy of one made before."""
        staged = self.root / "staged.sqlite"
        with Datastore.create(staged) as store:
            store.write(status(State.AB_UPDATE_STAGED, config("2")))
        path = self.root / "bin/trident"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'#!/bin/sh\necho "$@" >> {self.root}/calls\necho "{said}" >&2\n'
            f'case "$*" in *stage) [ {code} != 0 ] || cp {staged} {self.poll.datastore};; esac\nexit {code}\n'
        )
        path.chmod(0o755)


@pytest.fixture
def machine(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "machine-id").write_text("0123456789abcdef\n")
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    poll = Poll(
        UpdatePollConfig(source=server.url), tmp_path / "datastore.sqlite", tmp_path / "update-poll",
        tmp_path / "machine-id", lambda: NOON,
    )  # fmt: skip
    found = Machine(tmp_path, poll)
    found.becomes(State.PROVISIONED, "1")
    found.program()
    return found


def test_stage_and_finalize(machine: Machine) -> None:
    assert machine.poll.run().action is PollAction.FINALIZE
    file = machine.poll.directory / "config.yaml"
    assert machine.calls() == [f"update {file} --allowed-operations {word}" for word in ("stage", "finalize")]
    written = yaml.safe_load(file.read_text())
    assert written["image"] == {"url": "https://images.example/new.cosi", "sha384": HASHES["2"]}
    assert "storage" in written
    assert file.stat().st_mode & 0o777 == 0o600
    machine.becomes(State.AB_UPDATE_FINALIZED, "2")
    assert machine.poll.run().action is PollAction.WAIT
    machine.becomes(State.PROVISIONED, "1")
    assert "went back" in machine.poll.run().reason
    assert len(machine.calls()) == 2


def test_outside_the_window(machine: Machine, server: Server) -> None:
    window = Window(start="02:00", end="04:00")
    later = Poll(**{**vars(machine.poll), "config": UpdatePollConfig(source=server.url, window=window)})
    assert "window" in later.run().reason
    assert [call.rpartition(" ")[2] for call in machine.calls()] == ["stage"]
    assert server.asked == [None]
    assert "window" in later.run().reason
    assert (len(machine.calls()), server.asked) == (1, [None, '"1"'])


def test_saying_only(machine: Machine) -> None:
    assert machine.poll.run(act=False).action is PollAction.STAGE
    assert machine.calls() == []


def test_staging_fails_again_and_again(machine: Machine) -> None:
    machine.program(code=2, said="no such image")
    for _ in range(5):
        with pytest.raises(CommandError, match="no such image"):
            machine.poll.run()
    assert "failed 5 times" in machine.poll.run().reason
    assert len(machine.calls()) == 5


def test_a_bad_offer_does_not_stick(machine: Machine, server: Server) -> None:
    server.body = b"nonsense: 1"
    for _ in range(2):
        with pytest.raises(ConfigError, match="nonsense"):
            machine.poll.run()
    server.body, server.etag = OFFER.encode(), '"2"'
    assert machine.poll.run().action is PollAction.FINALIZE


def test_a_machine_without_id(machine: Machine) -> None:
    machine.poll.machine_id.write_text("\n")
    with pytest.raises(HostError, match="no id"):
        machine.poll.run()


def test_memory(tmp_path: Path) -> None:
    assert poll_memory.load(tmp_path) == Memory()
    memory = Memory(Found("https://a.example", None, "x"), Tried("1", 2, None))
    poll_memory.save(tmp_path, memory)
    assert poll_memory.load(tmp_path) == memory
    for text in ("", "[]", "{", '{"tried": {"staged": 1}}', '{"found": "x"}', "[" * 100_000):
        (tmp_path / "memory.json").write_text(text)
        assert poll_memory.load(tmp_path) == Memory()


def test_one_at_a_time(tmp_path: Path) -> None:
    directory = tmp_path / "new/update-poll"
    with poll_memory.alone(directory):
        assert directory.stat().st_mode & 0o777 == 0o700
        with pytest.raises(BusyError, match="running already"), poll_memory.alone(directory):
            pass
    with poll_memory.alone(directory):
        pass
