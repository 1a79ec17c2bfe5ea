"""An image that is damaged on its way from a web server is refused: nothing is done to it that only whole ones get."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.fuzz.mutations import reading
from tests.unit.agent.small_cosi import write_cosi
from tests.unit.agent.storage.range_server import RangeServer, Request

from twinroot.agent.storage.deploy import deploy
from twinroot.agent.storage.deploy_plan import Deployment, ImageWrite
from twinroot.agent.storage.image_source import open_image
from twinroot.agent.storage.ranged import LOOK
from twinroot.errors import FormatError, InputError, TwinrootError
from twinroot.formats.cosi.reader import open_cosi, read_cosi
from twinroot.units import KIB, MIB

RANDOM = random.Random(11)
CONTENTS = RANDOM.randbytes(2 * MIB + 300 * KIB) + bytes(MIB) + RANDOM.randbytes(700 * KIB)
SIZE = 4 * MIB
FLIPS = 30


@pytest.fixture(scope="module")
def cosi(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """A COSI file, and the hash that a host configuration names."""
    path = write_cosi(tmp_path_factory.mktemp("image") / "os.cosi", CONTENTS)
    with open_cosi(path) as file:
        return path.read_bytes(), file.metadata_sha384


@pytest.fixture
def server(cosi: tuple[bytes, str]) -> Iterator[RangeServer]:
    with RangeServer(cosi[0]).running() as running:
        yield running


def deployed(server: RangeServer, sha384: str, target: Path) -> None:
    """What an update does with an image. That it is grown afterwards would fail: it holds no filesystem."""
    target.write_bytes(b"\xff" * SIZE)
    with open_image(server.url, sha384) as file:
        write = ImageWrite(file.metadata.images[0].image, "root", target, grow=False)
        deploy(file, Deployment((write,), (), (), ()))


def dependent_bytes(data: bytes) -> list[int]:
    """Places in headers, the metadata and the image, as many of each; the rest is padding, and other images."""
    file = read_cosi(reading(data), "test")
    document, image = file.members["metadata.json"], file.member(file.metadata.images[0].image)
    headers = [at for member in file.members.values() for at in range(member.header, member.header + 148)]
    stretches: list[Sequence[int]] = [
        headers, range(document.data, document.data + document.size), range(image.data, image.data + image.size)
    ]  # fmt: skip
    return [RANDOM.choice(stretches[number % len(stretches)]) for number in range(FLIPS)]


def test_a_whole_image_is_deployed(server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path) -> None:
    deployed(server, cosi[1], tmp_path / "root")
    assert (tmp_path / "root").read_bytes()[: len(CONTENTS)] == CONTENTS


@pytest.mark.parametrize("hash_known", [True, False])
def test_flipped_bytes(server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path, hash_known: bool) -> None:
    document = read_cosi(reading(cosi[0]), "test").members["metadata.json"]
    for at in dependent_bytes(cosi[0]):
        if not hash_known and document.data <= at < document.data + document.size:
            continue  # whoever says `ignored` trusts the metadata as they come
        damaged = bytearray(cosi[0])
        damaged[at] ^= 1 << RANDOM.randrange(8)
        server.data, server.ranges = bytes(damaged), []
        with pytest.raises(FormatError) as caught:
            deployed(server, cosi[1] if hash_known else "ignored", tmp_path / "root")
        assert caught.value.where == server.url and caught.value.message, f"byte {at}"


def test_flipped_bytes_anywhere_do_no_harm(server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path) -> None:
    """What the check of everything would find may lie in padding; then the image is right all the same."""
    for _ in range(FLIPS):
        damaged = bytearray(cosi[0])
        damaged[RANDOM.randrange(len(damaged))] ^= 1 << RANDOM.randrange(8)
        server.data = bytes(damaged)
        try:
            deployed(server, cosi[1], tmp_path / "root")
        except FormatError:
            continue
        assert (tmp_path / "root").read_bytes()[: len(CONTENTS)] == CONTENTS


@pytest.mark.parametrize("length", [0, 511, 512, 5000, 100 * KIB, 2 * MIB, -1024, -1025])
def test_truncated_files(server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path, length: int) -> None:
    server.data = cosi[0][:length]
    with pytest.raises(FormatError, match="cut off"):
        deployed(server, cosi[1], tmp_path / "root")
    assert not (tmp_path / "root").read_bytes().strip(b"\xff")  # nothing was written


def test_a_server_without_ranges(server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path) -> None:
    def whole(request: Request) -> bool:
        request.reply(200, cosi[0])
        return True

    server.answer = whole
    with pytest.raises(InputError, match="cannot give parts") as caught:
        deployed(server, cosi[1], tmp_path / "root")
    assert caught.value.hint and "range requests" in caught.value.hint
    assert len(server.ranges) == 1


def other_etag(server: RangeServer) -> None:
    server.etag = '"two"'


def later(server: RangeServer) -> None:
    server.last_modified = "Thu, 26 Nov 2026 00:00:01 GMT"


def longer(server: RangeServer) -> None:
    server.data += b"x"


def other_bytes(server: RangeServer) -> None:
    """Nothing says so but the bytes."""
    server.data = server.data[: -1 * MIB] + RANDOM.randbytes(MIB)


CHANGES: list[tuple[Callable[[RangeServer], None], str]] = [
    (other_etag, "changed while it was read"),
    (later, "changed while it was read"),
    (longer, "changed while it was read"),
    (other_bytes, "is not that of the metadata|damaged|zstd"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("when", [2, 3, "in the image"])
def test_a_file_that_changes_between_requests(
    server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path, change: Callable[[RangeServer], None], said: str,
    when: int | str,
) -> None:  # fmt: skip
    server.last_modified = "Thu, 26 Nov 2026 00:00:00 GMT"
    server.cut_after, server.cuts = MIB, 1

    def answer(_request: Request) -> bool:
        if len(server.ranges) == when or (when == "in the image" and server.cuts == 0):
            server.answer = lambda _request: False
            change(server)
        return False

    server.answer = answer
    with pytest.raises(InputError, match=said) as caught:
        deployed(server, cosi[1], tmp_path / "root")
    assert caught.value.where == server.url
    assert (tmp_path / "root").read_bytes()[: len(CONTENTS)] != CONTENTS


@pytest.mark.parametrize(("cut_after", "cuts"), [(MIB, 2), (200 * KIB, 9)])
def test_dropped_connections_are_resumed(
    server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path, cut_after: int, cuts: int
) -> None:
    deployed(server, cosi[1], tmp_path / "root")
    undisturbed, server.sent = server.sent, 0
    server.cut_after, server.cuts = cut_after, cuts
    deployed(server, cosi[1], tmp_path / "root")
    assert server.cuts == 0
    assert (tmp_path / "root").read_bytes()[: len(CONTENTS)] == CONTENTS
    # What was received is not asked for again; a look ahead, at most, is fetched twice.
    assert undisturbed <= len(cosi[0]) + 2 * LOOK
    assert server.sent <= undisturbed + LOOK


def test_a_connection_that_is_dropped_for_good(server: RangeServer, cosi: tuple[bytes, str], tmp_path: Path) -> None:
    def refused(_request: Request) -> bool:
        return server.cuts == 0 and _refuse(_request)

    server.cut_after, server.cuts, server.answer = MIB, 1, refused
    with pytest.raises(TwinrootError, match="404") as caught:
        deployed(server, cosi[1], tmp_path / "root")
    assert caught.value.where == server.url


def _refuse(request: Request) -> bool:
    request.reply(404, b"")
    return True
