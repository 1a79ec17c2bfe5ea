"""What a COSI file still has that is cut off, and what may follow its end."""

from __future__ import annotations

import pytest
from tests.unit.formats.small_file import NAMES, opened, repacked, report, written

__all__ = ["written"]


def test_what_a_cut_off_file_still_has(written: bytes) -> None:
    whole = report(written)
    assert whole.metadata is not None
    paths = frozenset(whole.metadata.image_files())
    assert (whole.whole, whole.table) == (paths, True)
    middle = opened(written).members[NAMES[4]]
    cut = report(written[: middle.data + 7])
    assert cut.whole == set(NAMES[2:4])
    assert cut.table
    shown = [(finding.rule, finding.where, finding.message) for finding in cut.errors]
    assert ("T2", "archive", f"the archive is cut off: it should go on at byte {middle.end}") in shown
    assert ("T2", NAMES[4], f"is cut off: the file has 7 of its {middle.size} bytes") in shown
    assert ("W1", NAMES[5], "is named in the metadata but missing in the archive") in shown
    early = report(written[:1500])
    assert (early.metadata, early.whole, early.table) == (None, frozenset(), False)
    wrong = report(repacked(written, lambda m: m.__setitem__(3, (m[3][0], m[3][1][:-1] + b"x"))))
    assert (wrong.whole, wrong.table) == (paths, True)


@pytest.mark.parametrize(
    ("behind", "at"),
    [
        (b"", None),
        (bytes(10_240), None),
        (bytes(3 << 20), None),
        (b"conectix" + b"x" * 504, None),
        (bytes(512) + b"conectix" + bytes(504), None),
        (b"conectix" + b"x" * 505, 0),
        (b"x", 0),
        (bytes(3 << 20) + b"garbage", 3 << 20),
        (b"more" * 5000, 0),
    ],
)
def test_what_follows_the_end(written: bytes, behind: bytes, at: int | None) -> None:
    found = report(written + behind)
    place = f"is followed by something else, from byte {len(written) + (at or 0)} on, which readers ignore"
    assert [(finding.rule, finding.message) for finding in found.warnings] == ([] if at is None else [("T4", place)])
    assert found.ok
