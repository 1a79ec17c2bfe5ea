"""The screen of `diff`: what a person sees of each kind of difference."""

from __future__ import annotations

import argparse

from twinroot.cli import verify_reproducible
from twinroot.cli.diff_report import collapsed, first_place, report
from twinroot.cli.drawing import ASCII, UTF8, Characters, paint
from twinroot.cli.main import build_parser
from twinroot.output.contents import ByteDifference
from twinroot.output.difference import Field, FileDifference, ImageDifference, PackageDifference, PartitionDifference

AT = ByteDifference(40, b"\x01\x02", b"\x03\x04")
FILES = (
    FileDifference("/etc/new", "added", "directory", (Field("mode", None, "0755"), Field("owner", None, "0:0"))),
    FileDifference("/etc/new/below", "added", "file"),
    FileDifference("/etc/new-file", "added", "file", (Field("mode", None, "0600"), Field("size", None, 2048))),
    FileDifference("/etc/old", "removed", "link", (Field("target", "x\x1b[0m", None),)),
    FileDifference("/etc/same", "changed", "file", (Field("mode", "0644", "4755"),), AT),
)
FOUND = ImageDifference(
    "/a.cosi",
    "/b.raw",
    disk=(Field("size", 1 << 30, 2 << 30),),
    partitions=(
        PartitionDifference(1, "esp", "removed", (Field("label", "esp", None),)),
        PartitionDifference(2, "/", "changed", (Field("filesystem UUID", "u1", "u2"),), FILES),
        PartitionDifference(3, "data", "changed", at=AT),
    ),
    packages=(PackageDifference("vim", "1-1", "1-2"), PackageDifference("curl", None, "7")),
    boot=(Field("command line", "quiet " * 30, "verbose"),),
    metadata=(Field("partition 2 mount point", "/", None),),
    notes=("b.raw: the packages could not be read",),
)


def screen(found: ImageDifference, limit: int | None = None, chars: Characters = UTF8) -> list[str]:
    return [paint(line, color=False) for line in report(found, 80, chars, limit=limit)]


def test_everything_is_shown() -> None:
    lines = screen(FOUND)
    assert lines[:2] == ["-  /a.cosi", "+  /b.raw"]
    for expected in (
        "   size      1 GiB   2 GiB",
        "~  vim      1-1     1-2",
        "+  curl             7",
        "   partition 2 mount point",
        "partition 1  esp  - removed",
        "partition 2  /  ~ changed",
        "   filesystem UUID  u1      u2",
        "+  /etc/new/  0755, 0:0",
        "+  /etc/new-file  0600, 2.00 KiB",
        "-  /etc/old  to x?[0m",
        "~  /etc/same  mode 0644 to 4755, content at byte 40: 0102 to 0304",
        "   bytes  byte 40: 0102 to 0304",
        "note  b.raw: the packages could not be read",
        "different: 2 packages, 3 partitions, files: 3 added, 1 removed, 1 changed",
    ):
        assert expected in lines, expected
    assert all(len(line) <= 80 for line in lines)
    assert sum("quiet" in line for line in lines) > 1


def test_ascii_only() -> None:
    assert all(line.isascii() for line in screen(FOUND, chars=ASCII))


def test_lists_are_cut() -> None:
    assert "   and 2 more; --all shows them" in screen(FOUND, limit=2)


def test_equal() -> None:
    assert screen(ImageDifference("a", "b")) == ["-  a", "+  b", "", "equal"]


def test_whole_directories_are_one_line() -> None:
    assert [file.path for file in collapsed(FILES)] == ["/etc/new", "/etc/new-file", "/etc/old", "/etc/same"]


def test_first_place() -> None:
    assert first_place(FOUND) == "partition 1 (esp), label"
    in_file = ImageDifference("a", "b", partitions=(PartitionDifference(2, "/", "changed", files=FILES[4:]),))
    assert first_place(in_file) == "partition 2 (/), changed file '/etc/same', byte 40: 0102 to 0304"
    in_bytes = ImageDifference("a", "b", partitions=(PartitionDifference(2, "/", "changed", at=AT),))
    assert first_place(in_bytes) == "partition 2 (/), outside of its files, byte 40: 0102 to 0304"
    in_metadata = ImageDifference("a", "b", metadata=FOUND.metadata)
    assert first_place(in_metadata) == "the metadata: partition 2 mount point"
    assert first_place(ImageDifference("a", "b")) is None


def test_builds_get_the_flags_that_were_given() -> None:
    given = ["verify-reproducible", "--build-dir", "b", "--config-file", "-c.yaml", "--output-image-file", "o.cosi"]
    given[4] = "--config-file=-c.yaml"
    given.pop(3)
    given += ["--rpm-source", "r1", "--rpm-source", "r2", "--disable-base-image-rpm-repos", "--log-level", "debug"]
    arguments: argparse.Namespace = build_parser().parse_args([*given, "--log-file", "l"])
    assert verify_reproducible.customize_flags(arguments) == [
        "--config-file=-c.yaml", "--rpm-source=r1", "--rpm-source=r2", "--disable-base-image-rpm-repos",
        "--log-level=debug", "--log-format=text", "--log-color=auto",
    ]  # fmt: skip
