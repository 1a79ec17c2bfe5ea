"""Wrong command lines: 2 from `twinroot`; from `imagecustomizer` what the peer has (image config spec §12)."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from tests.unit.cli.test_config_commands import run

from twinroot.builder import request
from twinroot.cli.arguments import OUTPUT_FORMATS, WRITTEN_FORMATS
from twinroot.config.image.output import OutputFormat

CUSTOMIZE = ["customize", "--build-dir", "b", "--config-file", "c.yaml"]
PLAN = ["plan", "--config-file", "c.yaml"]
CONVERT = ["convert", "--image-file", "a", "--output-image-file"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["convert"], "no image is given"),
        (["convert", "a"], "no output is given"),
        (["convert", "a", "b", "c"], "too many files are given: c"),
        (["convert", "a", "b"], "no output format is given"),
        (["convert", "a", "b", "--output-image-format", "tar"], "'tar' is not known: use one of cosi, raw"),
        (["convert", "a", "b.cosi", "--cosi-compression-level", "99"], "a level from 1 to 22 is wanted"),
        (["convert", "a", "b.raw", "--cosi-compression-level", "9"], "is only for the output format cosi"),
        (["--log-color", "pink", "convert", "a", "b"], "invalid choice: 'pink'"),
        (["convert", "a", "b", "--log-format", "xml"], "invalid choice: 'xml'"),
        (["convert", "a", "b", "--log-format", "json", "--log-color", "always"], "cannot be used together"),
        ([*CUSTOMIZE, "--output-image-format", "tar"], "'tar' is not known"),
        ([*CUSTOMIZE, "--image-file", "a", "--image", "oci:a/b"], "may not be given together"),
        ([*CUSTOMIZE, "--why-rebuild"], "--why-rebuild speaks of a cache"),
        (
            [
                *CUSTOMIZE,
                "--image-file=a",
                "--output-path=b",
                "--output-image-format=cosi",
                "--cosi-compression-level=0",
            ],
            "a level from 1 to 22 is wanted",
        ),
        ([*CUSTOMIZE, "--image-cache-size", "much"], "--image-cache-size: "),
        (["config", "check", "c.yaml", "--validate-resources", "everything"], "use files, oci, all"),
        (["config", "check", "c.yaml", "--validate-resources", "all"], "add --build-dir DIR"),
        (["customize", "--build-dir", "", "--config-file", "c.yaml"], "argument --build-dir: the path is empty"),
        ([*CUSTOMIZE, "--image-file="], "argument --image-file: the path is empty"),
        (["inspect", ""], "argument FILE: the path is empty"),
        *[(["boot", "a", "--timeout", text], "is no number of seconds above 0") for text in ("0", "-1", "nan", "inf")],
        (["boot", "a", "--timeout", "soon"], "argument --timeout: invalid"),
        (["boot", "a", "--memory", "0"], "at least 64 MiB"),
        ([*PLAN, "--output-image-format", "tar"], "'tar' is not known"),
        ([*PLAN, "--cosi-compression-level", "99"], "a level from 1 to 22 is wanted"),
        ([*PLAN, "--image-file", "a", "--image", "oci:a/b"], "may not be given together"),
        ([*PLAN, "--why-rebuild"], "--why-rebuild speaks of a cache"),
    ],
)
def test_wrong_command_lines_of_twinroot(tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "c.yaml").write_text("{}")
    result = run("main", *words, directory=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["convert"], 80),
        ([*CONVERT, "b", "--output-image-format", "tar"], 80),
        ([*CONVERT, "b", "--output-image-format", "cosi"], 1),  # without a build directory
        ([*CONVERT, "b", "--output-image-format", "raw", "stray"], 80),
        ([*CUSTOMIZE, "--output-image-format", "tar"], 80),
        (["--output-image-format", "tar", *CUSTOMIZE[1:]], 80),
        (["--log-color", "pink", *CUSTOMIZE], 80),
        (["--log-format", "xml", *CUSTOMIZE], 80),
        (["--log-format", "json", "--log-color", "always", *CUSTOMIZE], 1),
        ([*CONVERT, "b", "--output-image-format=cosi", "--build-dir=b", "--cosi-compression-level=99"], 1),
    ],
)
def test_wrong_command_lines_of_imagecustomizer(tmp_path: Path, words: list[str], code: int) -> None:
    (tmp_path / "c.yaml").write_text("{}")
    result = run("imagecustomizer", *words, directory=tmp_path)
    assert (result.returncode, result.stdout) == (code, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["iso", ""])
def test_formats_of_the_peer_are_no_wrong_command_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "c.yaml").write_text("{}")
    words = ["--image-file", "a", "--output-image-file", "b", f"--output-image-format={name}"]
    assert run("main", *CUSTOMIZE, *words, directory=tmp_path).returncode == 1
    assert run("imagecustomizer", *CUSTOMIZE, *words, directory=tmp_path).returncode == 1


def test_the_parsers_know_the_formats() -> None:
    assert request.OUTPUT_FORMATS == WRITTEN_FORMATS
    assert set(OUTPUT_FORMATS) == set(get_args(OutputFormat))
