"""`trident daemon` and `trident grpc-client`: real processes on a real socket. None of this restarts a machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from tests.tools.daemon_place import PATIENCE, Place, answers, asked, place_in, talk, version, wait_until
from tests.unit.agent.small_cosi import write_cosi
from tests.unit.agent.statuses import config, status
from tests.unit.agent.storage.range_server import RangeServer, Request

from twinroot import __version__
from twinroot.agent.datastore import Datastore
from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.host.normal import normal, to_yaml
from twinroot.formats.cosi.reader import open_cosi

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon needs root")

COMMIT, UPDATE, STAGE = "CommitService/Commit", "UpdateService/Update", "UpdateService/UpdateStage"
CALLER = v1.RebootManagement(handling=v1.CALLER_HANDLES_REBOOT)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path) as found:
        yield found


def with_image(place: Place, more: str = "") -> HostConfig:
    """A configuration with an image that is there."""
    path = place.folder / "os.cosi"
    if not path.exists():
        write_cosi(path, b"root" * 1000)
    with open_cosi(path) as cosi:
        digest = cosi.metadata_sha384
    found = config(more=more)
    assert found.image is not None
    image = found.image.model_copy(update={"url": f"file://{path}", "sha384": digest})
    return found.model_copy(update={"image": image})


def staging(text: str) -> v1.StageUpdateRequest:
    return v1.StageUpdateRequest(config=v1.HostConfiguration(config=text))


def updating(text: str) -> v1.UpdateRequest:
    return v1.UpdateRequest(stage=staging(text), finalize=v1.FinalizeUpdateRequest(reboot=CALLER))


def logs(found: list[v1.ServicingResponse]) -> str:
    return "\n".join(response.log.message for response in found[1:-1])


@contextmanager
def slow_update(place: Place) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A configuration whose image is on a server that tells when it is asked, and answers when it is told, by an error.

    The events are those of the asking and of the telling.
    """
    place.put(status(State.PROVISIONED, config()))
    release, came = threading.Event(), threading.Event()

    def answer(request: Request) -> bool:
        came.set()
        release.wait(PATIENCE)
        request.send_error(404)
        return True

    with RangeServer(b"", answer=answer).running() as server:
        try:
            text = to_yaml(normal(config())).replace("https://images.example/os.cosi", server.url)
            yield text, came, release
        finally:
            release.set()


def refused(place: Place, name: str, request: object) -> GRPCError:
    with pytest.raises(GRPCError) as caught:
        asked(place.socket, name, request)
    return caught.value


def test_version(place: Place) -> None:
    place.start()
    assert talk(place.socket, version) == __version__
    mode = place.socket.stat().st_mode & 0o777, place.socket.parent.stat().st_mode & 0o777
    assert mode == (0o600, 0o755)
    done = place.client("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


def test_without_a_datastore(place: Place) -> None:
    place.start()
    found = asked(place.socket, UPDATE, updating(to_yaml(normal(config()))))
    done = found[-1].completed
    assert (done.status, done.reboot_status) == (v1.STATUS_CODE_FAILURE, v1.REBOOT_NOT_REQUIRED)
    assert (done.error.kind, done.error.subkind) == (v1.INVALID_INPUT_ERROR, "host-not-provisioned")
    assert done.error.message == "there is no datastore at /var/lib/trident/datastore.sqlite"
    assert "\n  hint: install an image first" in done.error.error_message
    assert not done.HasField("servicing_kind") and not done.HasField("image_hash")
    commit = asked(place.socket, COMMIT, v1.CommitRequest())[-1].completed
    assert (commit.status, commit.servicing_kind) == (v1.STATUS_CODE_SUCCESS, v1.SERVICING_KIND_NONE_REQUIRED)
    client = place.client("-v", "info", "update", str(write(place, "os: {}\n")))
    assert client.returncode == 2
    assert client.stderr.count("the machine was not updated: there is no datastore") == 2
    assert place.client("commit").returncode == 0
    left = [path.name for path in (place.folder / "run/trident").iterdir()]
    assert left == ["trident.lock"]


def write(place: Place, text: str) -> Path:
    path = place.folder / "host.yaml"
    path.write_text(text)
    return path


def test_a_wrong_configuration(place: Place) -> None:
    place.put(status(State.PROVISIONED, config()))
    place.start()
    found = asked(place.socket, STAGE, staging("trident: {disable: true}\nos:\n  hostNam: b\n"))
    error = found[-1].completed.error
    assert (error.kind, error.subkind) == (v1.INVALID_INPUT_ERROR, "parse-host-configuration-file")
    assert error.message.startswith("config.yaml:3:3: os.hostNam: unknown key 'hostNam' (did you mean 'hostname'?)")
    lines = [response.log for response in found if response.HasField("log")]
    assert any(line.level == v1.LOG_LEVEL_ERROR and "config.yaml:3:3" in line.message for line in lines)
    assert all(line.module and line.target and line.location.line for line in lines)
    asked(place.socket, STAGE, staging("trident: {disable: true}\nos:\n  hostNam: b\n"))
    with Datastore.open(place.folder / "lib/trident/datastore.sqlite") as datastore:
        last, _ = datastore.history()
    assert last.last_error["message"].startswith("config.yaml:3:3: os.hostNam: ")


def test_an_update_that_is_kept(place: Place) -> None:
    """Health checks are only recorded; a file is written to the running system."""
    place.put(status(State.PROVISIONED, with_image(place)))
    place.start()
    new = with_image(place, "health: {checks: [{name: a, content: 'true', runOn: [all]}]}\n")
    done = asked(place.socket, UPDATE, updating(to_yaml(normal(new))))[-1].completed
    assert done.status == v1.STATUS_CODE_SUCCESS, done.error.message
    assert done.servicing_kind == v1.SERVICING_KIND_NONE_REQUIRED
    assert done.image_hash == f"sha384:{new.image.sha384 if new.image else ''}"
    newer = with_image(place, "os: {additionalFiles: [{destination: /run/made, content: a}]}\n")
    found = asked(place.socket, UPDATE, updating(to_yaml(normal(newer))))
    done = found[-1].completed
    assert (done.status, done.servicing_kind) == (v1.STATUS_CODE_SUCCESS, v1.SERVICING_KIND_RUNTIME_UPDATE)
    assert (place.folder / "run/made").read_text() == "a"
    assert "The machine is provisioned now" in logs(found)


def test_stage_then_finalize(place: Place) -> None:
    place.put(status(State.PROVISIONED, with_image(place)))
    place.start()
    new = with_image(place, "os: {additionalFiles: [{destination: /run/x, content: a}]}\n")
    path = write(place, to_yaml(normal(new)))
    staged = place.client("update", str(path), "--allowed-operations", "stage")
    assert (staged.returncode, (place.folder / "run/x").exists()) == (0, False), staged.stderr
    finalized = place.client("update", "/nowhere", "--allowed-operations=finalize")
    assert (finalized.returncode, (place.folder / "run/x").exists()) == (0, True), finalized.stderr
    nothing = place.client("update", "/nowhere", "--allowed-operations")
    assert (nothing.returncode, "There is nothing to do" in nothing.stderr) == (0, True)


def test_one_operation_at_a_time(place: Place) -> None:
    daemon = place.start("--inactivity-timeout", "1s")
    with slow_update(place) as (text, _came, release):

        async def work(channel: Channel) -> v1.Completed:
            stream = answers(channel, UPDATE, updating(text))
            assert (await anext(stream)).HasField("started")
            other = await asyncio.to_thread(refused, place, COMMIT, v1.CommitRequest())
            assert (other.status, other.message) == (Status.UNAVAILABLE, "servicing is active")
            assert await version(channel) == __version__
            release.set()
            return [found async for found in stream][-1].completed

        done = talk(place.socket, work)
    assert (done.status, done.error.subkind) == (v1.STATUS_CODE_FAILURE, "load-cosi"), done.error
    assert daemon.wait(PATIENCE) == 0
    assert not place.socket.exists()


def test_a_client_that_goes_away(place: Place) -> None:
    """The operation goes on, and its end is the end of the lock; a daemon that is to end waits for it."""
    daemon = place.start("--inactivity-timeout", "2s")
    with slow_update(place) as (text, came, release):

        async def begin(channel: Channel) -> None:
            stream = answers(channel, UPDATE, updating(text))
            assert (await anext(stream)).HasField("started")
            await asyncio.to_thread(came.wait, PATIENCE)
            await stream.aclose()

        talk(place.socket, begin)
        assert refused(place, COMMIT, v1.CommitRequest()).message == "servicing is active"
        assert daemon.poll() is None
        release.set()
        wait_until(lambda: "It ended with STATUS_CODE_FAILURE" in place.log())
    assert asked(place.socket, COMMIT, v1.CommitRequest())[-1].completed.status == v1.STATUS_CODE_SUCCESS
    assert daemon.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(place: Place, number: int) -> None:
    daemon = place.start()
    with slow_update(place) as (text, came, release):

        async def work(channel: Channel) -> v1.Completed:
            stream = answers(channel, UPDATE, updating(text))
            await anext(stream)
            await asyncio.to_thread(came.wait, PATIENCE)
            daemon.send_signal(number)
            daemon.send_signal(number)
            await asyncio.to_thread(wait_until, lambda: "waiting for the operation" in place.log())
            with pytest.raises(GRPCError, match="the daemon is ending"):
                await anext(answers(channel, COMMIT, v1.CommitRequest()))
            assert daemon.poll() is None and not place.answers()
            release.set()
            return [found async for found in stream][-1].completed

        assert talk(place.socket, work).error.subkind == "load-cosi"
    assert daemon.wait(PATIENCE) == 0
    assert not place.socket.exists()


def test_nobody_comes(place: Place) -> None:
    daemon = place.start("--inactivity-timeout", "500ms")
    assert daemon.wait(PATIENCE) == 0
    assert "Ending: nobody asked for anything" in place.log()


def test_who_is_connected_is_waited_for(place: Place) -> None:
    daemon = place.start("--inactivity-timeout", "500ms")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place.socket))
        client.settimeout(1.5)
        with pytest.raises(TimeoutError):
            while client.recv(4096):
                pass
    assert daemon.wait(PATIENCE) == 0


def test_a_socket_that_is_there_already(place: Place) -> None:
    first = place.start()
    second = place.start()
    assert second.wait(PATIENCE) == 2
    assert "another daemon listens here" in place.log()
    left = place.folder / "run/trident/request-old"
    left.mkdir(parents=True)
    (left / "config.yaml").write_text("a secret")
    first.kill()
    first.wait()
    assert place.socket.exists()
    third = place.start()
    assert talk(place.socket, version) == __version__
    assert not left.exists()
    third.terminate()
    assert (third.wait(PATIENCE), place.socket.exists()) == (0, False)
    place.socket.write_text("somebody's")
    assert place.start().wait(PATIENCE) == 2
    assert place.socket.read_text() == "somebody's"


def test_an_agent_configuration_that_is_wrong(place: Place) -> None:
    script = "mount -t tmpfs none /etc && mkdir /etc/trident && echo DatastorePath=here > /etc/trident/trident.conf"
    daemon = place.start(before=["sh", "-c", f'{script} && exec "$@"', "sh"])
    assert daemon.wait(PATIENCE) == 4, place.log()
    assert "DatastorePath must be an absolute path" in place.log()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed")
def test_socket_activation(place: Place) -> None:
    """The socket is that of systemd, which keeps it; the programs that are started know nothing of it."""
    place.socket.parent.mkdir()
    passed = [word for name in ("PYTHONPATH", "TWINROOT_TOOL_PATH", "DOCKER_ENVIRONMENT") for word in ("-E", name)]
    activate = ["systemd-socket-activate", f"--listen={place.socket}", *passed]
    daemon = place.start("--inactivity-timeout", "1s", before=activate)
    assert talk(place.socket, version) == __version__
    assert asked(place.socket, COMMIT, v1.CommitRequest())[-1].completed.status == v1.STATUS_CODE_SUCCESS
    assert daemon.wait(PATIENCE) == 0
    assert place.socket.exists()


def test_bounds(place: Place) -> None:
    place.start()
    error = refused(place, STAGE, staging("a" * (16 * 2**20 + 1)))
    assert (error.status, "and may have 16777216" in (error.message or "")) == (Status.RESOURCE_EXHAUSTED, True)
    for name, request in ((UPDATE, v1.UpdateRequest()), (STAGE, v1.StageUpdateRequest())):
        assert refused(place, name, request).status is Status.INVALID_ARGUMENT
    unknown = v1.CommitRequest.FromString(bytes.fromhex("0a020807"))
    assert refused(place, COMMIT, unknown).status is Status.INVALID_ARGUMENT
    assert "Traceback" not in place.log()


def test_what_is_not_built(place: Place) -> None:
    place.start()
    assert refused(place, "OtherService/Other", v1.CommitRequest()).status is Status.UNIMPLEMENTED
    for words in (["install"], ["rollback", "--ab"]):
        done = place.client(*words)
        assert (done.returncode, f"'{words[0]}'" in done.stderr) == (2, True), done.stderr


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, data: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(data))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + data


HOSTILE = {
    "garbage": os.urandom(4096),
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no headers": PREFACE + frame(4, 0, 0, b"") + frame(1, 5, 1, b""),
    "bad headers": PREFACE + frame(4, 0, 0, b"") + frame(1, 5, 1, b"\xff" * 64),
    "data without a stream": PREFACE + frame(4, 0, 0, b"") + frame(0, 0, 7, b"x"),
    "a frame that is too long": PREFACE + b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 70000,
    "odd settings": PREFACE + frame(4, 0, 0, b"\0\4\xff\xff\xff\xff"),
    "resets": PREFACE + frame(4, 0, 0, b"") + frame(3, 0, 1, b"\0\0\0\1") * 1000,
    "cut": PREFACE[:7],
}


def test_hostile_clients(place: Place) -> None:
    place.start()
    for text in HOSTILE.values():
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(place.socket))
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(5)
            while client.recv(65536):
                pass
    waiting = [socket.socket(socket.AF_UNIX) for _number in range(50)]
    for client in waiting:
        client.connect(str(place.socket))
    assert talk(place.socket, version) == __version__
    for client in waiting:
        client.close()
    assert "Traceback" not in place.log()


def test_clients_without_a_daemon(place: Place) -> None:
    done = place.client("version")
    assert (done.returncode, "no daemon answers" in done.stderr) == (1, True)
    done = place.client("version", "-s", "tcp://a:1")
    assert (done.returncode, "'tcp://a:1' is no address of a daemon" in done.stderr) == (1, True)
