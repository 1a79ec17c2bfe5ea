"""Reading a file on a server at offsets: exactly its bytes, few requests, and clear ends when the server misbehaves."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.agent.storage.range_server import RangeServer, Request

from twinroot.agent.storage.ranged import LOOK, RangedFile
from twinroot.errors import InputError, NetworkError
from twinroot.registry.session import Session, trust
from twinroot.units import KIB, MIB

DATA = random.Random(3).randbytes(3 * MIB + 77)


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with RangeServer(DATA).running() as running:
        yield running


def opened(server: RangeServer, pauses: list[float] | None = None) -> RangedFile:
    session = Session(trust("127.0.0.1"))

    def request(wanted: str) -> requests.Response:
        return session.get(server.url, headers={"Range": wanted}, stream=True, timeout=(5, 5))

    waited = pauses if pauses is not None else []
    return RangedFile(request, "http://server/os.cosi", pause=waited.append)


def replied(request: Request, status: int, body: bytes = b"", **headers: str) -> bool:
    request.reply(status, body, **headers)
    return True


READS = st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(0, 200 * KIB)), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(READS)
def test_any_reads_give_the_bytes_of_the_file(server: RangeServer, reads: list[tuple[int, int]]) -> None:
    with opened(server) as file:
        for offset, size in reads:
            assert file.read_at(offset, size) == DATA[offset : offset + size]


def test_reading_on_stays_on_one_answer(server: RangeServer) -> None:
    with opened(server) as file:
        assert b"".join(file.read_at(at, MIB) for at in range(0, len(DATA), MIB)) == DATA
    assert server.ranges == ["bytes=0-"]


def test_hops_are_small_answers_on_one_connection(server: RangeServer) -> None:
    with opened(server) as file:
        for at in range(0, len(DATA), 500 * KIB):
            assert file.read_at(at, 512) == DATA[at : at + 512]
    assert server.ranges[0] == f"bytes=0-{LOOK - 1}"
    assert all(len(wanted.split("-")[1]) for wanted in server.ranges)


def test_a_look_that_goes_on_becomes_a_stream(server: RangeServer) -> None:
    with opened(server) as file:
        assert b"".join(file.read_at(at, 4096) for at in range(0, MIB, 4096)) == DATA[:MIB]
    assert server.ranges == [f"bytes=0-{LOOK - 1}", f"bytes={LOOK}-"]


@pytest.mark.parametrize("cut_after", [0, 1, 100 * KIB, 2 * MIB])
def test_broken_connections_are_resumed_where_they_broke(server: RangeServer, cut_after: int) -> None:
    server.cut_after, server.cuts = cut_after, 4
    pauses: list[float] = []
    with opened(server, pauses) as file:
        assert file.read_at(0, len(DATA)) == DATA
    assert server.cuts == 4 - len(server.ranges) + 1
    # Progress begins the pauses anew, much progress needs none.
    assert pauses == ([0.25, 0.5, 1.0, 2.0] if cut_after == 0 else [0.25] * 4 if cut_after < MIB else [])


def test_a_server_that_gives_nothing_is_given_up(server: RangeServer) -> None:
    server.cut_after, server.cuts = 0, 1000
    with opened(server) as file, pytest.raises(NetworkError, match="connection"):
        file.read_at(0, 10)
    assert len(server.ranges) == 6


@pytest.mark.parametrize("status", [500, 503])
def test_errors_of_the_server_are_tried_again(server: RangeServer, status: int) -> None:
    left: list[None] = [None] * 3
    server.answer = lambda request: bool(left) and left.pop() is None and replied(request, status)
    with opened(server) as file:
        assert file.read_at(5, 10) == DATA[5:15]
    assert len(server.ranges) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 410, 429])
def test_refusals_are_not_tried_again(server: RangeServer, status: int) -> None:
    server.answer = lambda request: replied(request, status)
    with opened(server) as file, pytest.raises(InputError, match=f"answers {status}"):
        file.read_at(0, 10)
    assert len(server.ranges) == 1


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (200, {}, "cannot give parts"),
        (206, {}, "does not say which part"),
        (206, {"Content_Range": "bytes 0-9/*"}, "does not say which part"),
        (206, {"Content_Range": "bytes 0-9/" + "1" * 5000}, "does not say which part"),
        (416, {"Content_Range": "bytes */" + "0" * 5000}, "shorter than it should be"),
        (206, {"Content_Range": "bytes 1-10/100"}, "another part"),
        (206, {"Content_Range": "bytes 0-100/100"}, "another part"),
        (206, {"Content_Range": "bytes 0-9/100", "Content_Encoding": "gzip"}, "compresses"),
        (416, {"Content_Range": "bytes */100"}, "shorter than it should be"),
    ],
)
def test_wrong_answers(server: RangeServer, status: int, headers: dict[str, str], said: str) -> None:
    server.answer = lambda request: replied(request, status, b"x" * 10, **headers)
    with opened(server) as file, pytest.raises(InputError, match=said):
        file.read_at(0, 10)
    assert len(server.ranges) == 1


def test_an_empty_file(server: RangeServer) -> None:
    server.data = b""
    with opened(server) as file:
        assert file.read_at(0, 10) == b""


@pytest.mark.parametrize("change", ["etag", "length"])
def test_a_file_that_changes_is_an_error(server: RangeServer, change: str) -> None:
    with opened(server) as file:
        file.read_at(0, 10)
        if change == "etag":
            server.etag = '"two"'
        else:
            server.data = DATA[:-1]
        with pytest.raises(InputError, match="changed while it was read"):
            file.read_at(MIB, 10)


def test_nobody_listens() -> None:
    with RangeServer(DATA).running() as gone:
        pass
    with opened(gone) as file, pytest.raises(NetworkError, match="does not work"):
        file.read_at(0, 10)
