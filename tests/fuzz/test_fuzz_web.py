"""Files on servers: whatever a server answers, the bytes are those of one version of the file, or there is an error."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import requests
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.mutations import cases, numbers
from tests.memory import little_memory
from urllib3 import HTTPResponse

from twinroot.agent.storage.image_source import FileLocation, RegistryLocation, WebLocation, location_of
from twinroot.agent.storage.ranged import LOOK, RangedFile, answer_of
from twinroot.errors import InputError, NetworkError
from twinroot.units import KIB, MIB

DATA = random.Random(5).randbytes(3 * LOOK + 1000)

STATUSES = st.sampled_from([200, 206, 206, 206, 302, 404, 416, 429, 500, 503])
RANGES = st.one_of(
    st.builds("bytes {}-{}/{}".format, numbers(64), numbers(64), st.one_of(numbers(64), st.just("*"))),
    st.builds("bytes */{}".format, numbers(64)),
    st.builds("bytes 0-9/{}".format, st.sampled_from(["1" * 5000, "10", " 10", "-1", "٣"])),
    st.text(max_size=20),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Range": RANGES,
        "ETag": st.text(max_size=3),
        "Last-Modified": st.text(max_size=3),
        "Content-Encoding": st.sampled_from(["identity", "gzip", ""]),
    },
)


@cases(1000)
@given(STATUSES, HEADERS, numbers(64))
def test_any_head_of_an_answer(status: int, headers: dict[str, str], offset: int) -> None:
    with suppress(InputError, NetworkError):
        answer = answer_of(status, headers, offset, "name")
        assert answer.start == offset and answer.start <= answer.end
        assert answer.end <= answer.version.length or answer.start == answer.end


TURNS = st.lists(
    st.tuples(
        st.sampled_from(["right", "right", "right", "cut", "error", "refused", "other", "all", "longer", "lies"]),
        st.integers(0, len(DATA)),
    ),
    max_size=6,
)
READS = st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(0, 100 * KIB)), min_size=1, max_size=4)


def serving(turns: list[tuple[str, int]]) -> Callable[[str], requests.Response]:
    """A server that goes through turns, one for each request, and is a good one afterwards."""
    left = list(turns)

    def request(wanted: str) -> requests.Response:
        turn, number = left.pop(0) if left else ("right", 0)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(DATA)) + 1, len(DATA))
        data, status = DATA[start:end], 206
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(DATA)}", "ETag": "one"}
        if start >= len(DATA):
            data, status, headers = b"", 416, {"Content-Range": f"bytes */{len(DATA)}", "ETag": "one"}
        match turn:
            case "cut":
                data = data[:number]
            case "error":
                data, status = b"", 503
            case "refused":
                raise requests.ConnectionError("refused")
            case "other":
                headers["ETag"] = "two"
            case "all":
                data, status = DATA, 200
            case "longer":
                data += bytes(number)
            case "lies":
                headers["Content-Range"] = f"bytes {start}-{start + number}/{2**62}"
        response = requests.Response()
        response.status_code = status
        response.headers.update(headers)
        response.raw = HTTPResponse(io.BytesIO(data), headers, status, preload_content=False)
        return response

    return request


@cases(1200)
@given(TURNS, READS)
def test_any_turns_of_a_server(turns: list[tuple[str, int]], reads: list[tuple[int, int]]) -> None:
    waits: list[float] = []
    lied = any(turn == "lies" for turn, _ in turns)
    with (
        little_memory(2 * MIB),
        RangedFile(serving(turns), "http://server/os.cosi", pause=waits.append) as file,
        suppress(InputError, NetworkError),
    ):
        for offset, size in reads:
            found = file.read_at(offset, size)
            assert lied or found == DATA[offset : offset + size]
    assert len(waits) <= 6 * len(reads)


URLS = st.one_of(
    st.text(max_size=30),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["http://", "https://", "oci://", "file://", "file:/", "/", "ftp://", "http:", "oci://h/"]),
        st.text("ab:@/[]?#%0:.-_ \0\n\u00e9", max_size=12),
        st.sampled_from(["", "/os.cosi", ":1", "@sha256:00", ":99999/x", "]/x"]),
    ),
)


@cases(1000)
@given(URLS)
@example("https://a]@[::1")
def test_any_url(url: str) -> None:
    with suppress(InputError):
        found = location_of(url)
        assert isinstance(found, FileLocation | WebLocation | RegistryLocation)
        if isinstance(found, FileLocation):
            assert found.path.is_absolute()
        if isinstance(found, WebLocation):
            assert "@" not in urlsplit(found.url).netloc and "?" not in found.shown
