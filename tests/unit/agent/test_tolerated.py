"""What the agent says of images that it takes although they break a rule, or that nobody vouches for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.small_cosi import write_cosi
from tests.unit.agent.storage.range_server import RangeServer
from tests.unit.formats.small_file import repacked, rewritten

from twinroot.agent.servicing.image import opened


@pytest.fixture
def cosi(tmp_path: Path) -> Path:
    return write_cosi(tmp_path / "os.cosi", b"root")


def said(url: str, log: pytest.LogCaptureFixture) -> str:
    log.clear()
    with opened(url, "ignored", name="image.sha384"):
        return log.text


def test_a_good_image(cosi: Path, caplog: pytest.LogCaptureFixture) -> None:
    """But for the EFI system partition that this one lacks."""
    lines = said(str(cosi), caplog).splitlines()
    assert len(lines) == 1 and "[A3]" in lines[0]


def test_what_is_tolerated(cosi: Path, caplog: pytest.LogCaptureFixture) -> None:
    def shuffled(members: list[tuple[str, bytes]]) -> None:
        members[:] = [*members[:0:-1], ("README", b"x")]

    def change(document: dict[str, Any]) -> None:
        document["images"][0]["mountPoint"] = "root"
        for image in (document["images"][0]["image"], document["disk"]["gptRegions"][1]["image"]):
            image["compressedSize"] += 1

    cosi.write_bytes(repacked(rewritten(cosi.read_bytes(), change), shuffled))
    text = said(str(cosi), caplog)
    assert "Tolerated in the image: cosi-marker: must be member 1 of the archive [T7]" in text
    assert {rule for rule in ("T7", "T9", "T10", "T12", "T13", "3.2", "3.4") if f"[{rule}]" in text} == {
        "T7", "T9", "T10", "T12", "T13", "3.2", "3.4",
    }  # fmt: skip


def test_very_much_that_is_tolerated(cosi: Path, caplog: pytest.LogCaptureFixture) -> None:
    cosi.write_bytes(repacked(cosi.read_bytes(), lambda members: members.extend((f"x{n}", b"") for n in range(1000))))
    lines = said(str(cosi), caplog).splitlines()
    assert len(lines) == 21 and lines[-1].endswith("Tolerated in the image: 981 other things")


def test_nobody_vouches_for_what_comes_over_http(cosi: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RangeServer(cosi.read_bytes()).running() as server:
        for url in (server.url, server.url.replace("http", "HTTP", 1)):
            assert "Nobody vouches for this image" in said(url, caplog)
    assert "vouches" not in said(str(cosi), caplog)
