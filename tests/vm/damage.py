"""Images that are damaged on their way to a machine, and whether it is unharmed by them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.unit.agent.storage.range_server import RangeServer, Request
from tests.vm.servicing import Image, status

from twinroot.formats.cosi.reader import open_cosi
from twinroot.vm.console import Console

_BOOTS = "efibootmgr | grep -v BootCurrent; find /boot/efi/EFI/BOOT /boot/efi/EFI/AZLA -type f | sort | xargs sha256sum"


@dataclass(frozen=True)
class Damage:
    """A way to damage an image: what is done to the server before an update asks it."""

    name: str
    apply: Callable[[RangeServer], None]


def flips(image: Image, count: int, seed: int = 1) -> Iterator[Damage]:
    """Single bytes changed, at random places of what an update reads: the metadata, the root and the boot files."""
    with open_cosi(image.path) as cosi:
        used = [each.image.path for each in cosi.metadata.images if each.mount_point in ("/", "/boot/efi")]
        places = [cosi.members[name] for name in ("metadata.json", *used)]
    chance = random.Random(seed)
    for number in range(count):
        # The metadata first, as it is small and would hardly ever be hit.
        member = places[0] if number == 0 else chance.choices(places[1:], [place.size for place in places[1:]])[0]
        yield _flip(member.data + chance.randrange(member.size), 1 << chance.randrange(8))


def others() -> Iterator[Damage]:
    """An image that is cut off, a server without ranges, and one whose file changes between two requests."""
    yield Damage("cut off", _cut_off)
    yield Damage("no ranges", _without_ranges)
    yield Damage("changes", _changing)


def boots(console: Console) -> str:
    """What the firmware starts, and the boot files of the system that runs."""
    return console.check(_BOOTS, timeout=300)


def refused(console: Console, server: RangeServer, damage: Damage) -> str | None:
    """Try to update with a damaged image; what is wrong with the outcome, None when the machine is unharmed."""
    whole, etag, before = server.data, server.etag, boots(console)
    damage.apply(server)
    try:
        result = console.run("trident update -v info", timeout=1800)
    finally:
        server.data, server.etag, server.answer = whole, etag, lambda _request: False
    found = status(console)
    if result.code != 2:
        return f"{damage.name}: exit code {result.code}: {result.output}"
    if (found["servicingState"], found["abActiveVolume"]) != ("provisioned", "volume-a") or not found.get("lastError"):
        return f"{damage.name}: the status is {found}"
    if boots(console) != before:
        return f"{damage.name}: other boot entries or files: {boots(console)}, before {before}"
    return None


def _flip(place: int, bit: int) -> Damage:
    def apply(server: RangeServer) -> None:
        data = bytearray(server.data)
        data[place] ^= bit
        server.data = bytes(data)

    return Damage(f"byte {place} ^ {bit}", apply)


def _cut_off(server: RangeServer) -> None:
    server.data = server.data[: len(server.data) // 2]


def _without_ranges(server: RangeServer) -> None:
    def answer(request: Request) -> bool:
        request.reply(200, server.data)
        return True

    server.answer = answer


def _changing(server: RangeServer) -> None:
    """The metadata are those of one file, the rest that of another."""
    seen = 0

    def answer(_request: Request) -> bool:
        nonlocal seen
        seen += 1
        if seen == 3:
            server.etag = '"another"'
        return False

    server.answer = answer
