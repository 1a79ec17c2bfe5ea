"""tdnf's configuration with a snapshot time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from twinroot.distro.rpm import with_snapshot_time
from twinroot.errors import InputError

MOMENT = datetime(2025, 10, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "[main]\nsnapshottime=1761609600\n\n"),
        ("[main]\nGpgCheck=1\n", "[main]\nGpgCheck=1\nsnapshottime=1761609600\n\n"),
        ("[main]\nsnapshottime=5\na=100%\n", "[main]\nsnapshottime=1761609600\na=100%\n\n"),
        ("[other]\na=1\n", "[other]\na=1\n\n[main]\nsnapshottime=1761609600\n\n"),
    ],
)
def test_time_is_set(text: str, expected: str) -> None:
    assert with_snapshot_time(text, MOMENT) == expected


def test_a_configuration_that_cannot_be_read() -> None:
    with pytest.raises(InputError, match=r"/etc/tdnf/tdnf\.conf of the base image cannot be read"):
        with_snapshot_time("no section\n", MOMENT)
