"""The screen of a verification: what it says was checked is what was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.unit.formats.cosi_samples import plan

from twinroot.cli.drawing import UTF8, paint
from twinroot.cli.verify_report import report_lines
from twinroot.formats.cosi.check import Report, verify_cosi
from twinroot.formats.cosi.writer import write_cosi


@pytest.fixture
def whole(tmp_path: Path) -> Report:
    path = tmp_path / "image.cosi"
    write_cosi(path, plan())
    return verify_cosi(path, threads=1)


def checked(report: Report) -> list[str]:
    lines = [paint(line, color=False) for line in report_lines("a.cosi", 1, report, UTF8)]
    return [line.removeprefix("checked  ") for line in lines if line.startswith("checked")]


def test_a_whole_file(whole: Report) -> None:
    assert checked(whole) == [
        "archive: headers, order of members, padding, end",
        "metadata: every rule of COSI 1.2, strictly",
        "5 images: size, SHA-384, zstd stream and length, 153 KiB in all",
        "partition table: checksums, and that it fits the images",
    ]


def test_a_file_that_was_cut_off(whole: Report) -> None:
    assert whole.metadata is not None
    cut = dataclasses.replace(whole, whole=frozenset(list(whole.metadata.image_files())[:1]), table=False)
    assert checked(cut)[2].startswith("1 of 5 images: size, SHA-384, zstd stream and length, ")
    assert checked(cut)[2].endswith(" in all; the others are not in the file, or not whole")
    assert len(checked(cut)) == 3
