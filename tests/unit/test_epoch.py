"""SOURCE_DATE_EPOCH: what is taken, and what is refused before any work."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from twinroot.epoch import build_time, source_date_epoch
from twinroot.errors import InputError


@pytest.mark.parametrize(("text", "epoch"), [("", None), ("1", 1), ("1700000000", 1_700_000_000)])
def test_taken(text: str, epoch: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert source_date_epoch() == epoch


def test_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert source_date_epoch() is None
    assert abs((build_time() - datetime.now(UTC)).total_seconds()) < 3600


def test_time_is_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert build_time() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["0", "-1", "+5", " 5", "007", "1.5", "today", "²", "4294967296", "9" * 40, "9" * 5000]
)
def test_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(InputError, match="not a number of seconds"):
        source_date_epoch()
