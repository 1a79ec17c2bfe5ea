"""The hash of data that is used meanwhile."""

from __future__ import annotations

import hashlib
import threading

from twinroot.formats.hash_behind import Sha384Behind
from twinroot.units import MIB


def test_is_that_of_all_pieces_in_their_order() -> None:
    pieces = [bytes([number]) * (3 * MIB + number) for number in range(12)]
    with Sha384Behind() as digest:
        for piece in pieces:
            digest.update(piece)
        assert digest.hexdigest() == hashlib.sha384(b"".join(pieces)).hexdigest()
        digest.update(b"more")
        assert digest.hexdigest() == hashlib.sha384(b"".join([*pieces, b"more"])).hexdigest()


def test_of_nothing() -> None:
    with Sha384Behind() as digest:
        assert digest.hexdigest() == hashlib.sha384().hexdigest()


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    try:
        with Sha384Behind() as digest:
            for _ in range(100):
                digest.update(bytes(MIB))
            raise InterruptedError
    except InterruptedError:
        assert threading.active_count() == before
