"""The sample as a COSI file in memory, read and checked."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.formats.cosi_samples import plan

from twinroot.formats.cosi import tar
from twinroot.formats.cosi.check import Report, verify
from twinroot.formats.cosi.reader import CosiFile, read_cosi
from twinroot.formats.cosi.writer import write_cosi

NAMES = ["cosi-marker", "metadata.json", *(f"images/small_{part}.raw.zst" for part in ("gpt", "1", "3", "2", "4"))]


@pytest.fixture
def written(tmp_path: Path) -> bytes:
    path = tmp_path / "image.cosi"
    write_cosi(path, plan())
    return path.read_bytes()


def reading(data: bytes) -> tar.ReadAt:
    return lambda offset, size: data[offset : offset + size]


def opened(data: bytes) -> CosiFile:
    return read_cosi(reading(data), "test.cosi")


def report(data: bytes) -> Report:
    return verify(reading(data), threads=1)


def rules(data: bytes) -> set[str]:
    return {finding.rule for finding in report(data).errors}


def repacked(data: bytes, change: Callable[[list[tuple[str, bytes]]], Any], owner: str = "") -> bytes:
    """The archive with its list of members changed, by the standard library's tar writer."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    change(members)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.uname = len(content), owner
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def rewritten(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The archive with other metadata and no integrity value, as another writer would have made it."""

    def edit(members: list[tuple[str, bytes]]) -> None:
        document = json.loads(members[1][1])
        del document["integrity"]
        change(document)
        members[1] = ("metadata.json", json.dumps(document).encode())

    return repacked(data, edit)
