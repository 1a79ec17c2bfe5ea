"""The inputs of an image: what counts, and what does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinroot.builder.inputs import input_hashes
from twinroot.builder.options import Options
from twinroot.builder.request import resolve_request
from twinroot.config.load import load_image_config
from twinroot.errors import InputError

CONFIG = """\
os:
  hostname: a
  packages: {installLists: [list.yaml]}
  additionalFiles: [{source: tool, destination: /usr/bin/tool}]
"""


def inputs(place: Path) -> dict[str, str]:
    return dict(hashes(place))


def hashes(place: Path) -> Iterator[tuple[str, str]]:
    base = place / "base.raw"
    options = Options(
        build_dir=place / "build", image_file=base, output_file=place / "out.raw", output_format="raw",
        rpm_sources=(place / "rpms",),
    )  # fmt: skip
    return input_hashes(resolve_request(load_image_config(place / "config.yaml"), options), base)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    (place / "rpms/sub").mkdir(parents=True)
    (place / "config.yaml").write_text(CONFIG)
    (place / "list.yaml").write_text("packages: [vim]\n")
    (place / "tool").write_text("x")
    (place / "base.raw").write_bytes(b"base")
    (place / "rpms/sub/a.rpm").write_bytes(b"package")
    return place


def test_place_and_times_do_not_count(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "another-place"
    shutil.copytree(place, other)
    os.utime(other / "base.raw", (5, 5))
    assert inputs(other) == inputs(place)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("config.yaml", "config 0"),
        ("list.yaml", "config.0.os.packages.installLists.0"),
        ("base.raw", "base"),
        ("tool", "config.0.os.additionalFiles.0.source"),
        ("rpms/sub/a.rpm", "packages 0"),
    ],
)
def test_content_counts(name: str, role: str, place: Path) -> None:
    before = inputs(place)
    with (place / name).open("a") as file:
        file.write("\n#more")
    after = inputs(place)
    assert [key for key in before if before[key] != after[key]] == [role]


def test_modes_count_where_the_image_gets_them(place: Path) -> None:
    before = inputs(place)
    for name in ("config.yaml", "list.yaml", "base.raw", "rpms/sub/a.rpm", "tool"):
        (place / name).chmod(0o600)
    after = inputs(place)
    assert [key for key in before if before[key] != after[key]] == ["config.0.os.additionalFiles.0.source"]


def test_missing_input_is_named(place: Path) -> None:
    found = hashes(place)
    (place / "base.raw").unlink()
    with pytest.raises(InputError, match="cannot be read") as error:
        dict(found)
    assert error.value.where == str(place / "base.raw")
