"""The inputs of an image: what counts, and what does not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from twinroot.builder.inputs import input_hashes, tree_hash
from twinroot.builder.request import Options, resolve_request
from twinroot.config.load import load_image_config
from twinroot.errors import InputError

CONFIG = "os:\n  hostname: a\n  packages:\n    installLists: [list.yaml]\n"


def inputs(place: Path) -> dict[str, str]:
    base = place / "base.raw"
    options = Options(
        build_dir=place / "build", image_file=base, output_file=place / "out.raw", output_format="raw",
        rpm_sources=(place / "rpms",),
    )  # fmt: skip
    return dict(input_hashes(resolve_request(load_image_config(place / "config.yaml"), options), base))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    (place / "rpms/sub").mkdir(parents=True)
    (place / "config.yaml").write_text(CONFIG)
    (place / "list.yaml").write_text("packages: [vim]\n")
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
        ("rpms/sub/a.rpm", "packages 0"),
    ],
)
def test_content_counts(name: str, role: str, place: Path) -> None:
    before = inputs(place)
    with (place / name).open("a") as file:
        file.write("\n#more")
    after = inputs(place)
    assert [key for key in before if before[key] != after[key]] == [role]


def test_names_modes_and_links_of_a_directory_count(tmp_path: Path) -> None:
    (tmp_path / "d/empty").mkdir(parents=True)
    (tmp_path / "d/f").write_text("x")
    seen = [tree_hash(tmp_path / "d")]
    (tmp_path / "d/f").chmod(0o755)
    seen.append(tree_hash(tmp_path / "d"))
    (tmp_path / "d/f").rename(tmp_path / "d/g")
    seen.append(tree_hash(tmp_path / "d"))
    (tmp_path / "d/loop").symlink_to(".")
    seen.append(tree_hash(tmp_path / "d"))
    (tmp_path / "d/empty").rmdir()
    seen.append(tree_hash(tmp_path / "d"))
    os.mkfifo(tmp_path / "d/pipe")
    seen.append(tree_hash(tmp_path / "d"))
    assert len(set(seen)) == len(seen)


def test_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read") as error:
        tree_hash(tmp_path / "missing")
    assert error.value.where == str(tmp_path / "missing")
