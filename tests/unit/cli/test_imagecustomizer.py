"""The peer's command line: where flags may stand, what is a usage error, what goes where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from twinroot import __version__
from twinroot.cli.arguments import split_list
from twinroot.cli.imagecustomizer import build_parser, main, with_command

FLAGS = ["--build-dir", "b", "--config-file", "c"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (FLAGS, ["customize", *FLAGS]),
        (["customize", *FLAGS], ["customize", *FLAGS]),
        (["--log-level", "debug", *FLAGS], ["--log-level", "debug", "customize", *FLAGS]),
        (["--log-level=debug", *FLAGS], ["--log-level=debug", "customize", *FLAGS]),
        (["--log-level", "debug", "customize", *FLAGS], ["--log-level", "debug", "customize", *FLAGS]),
        (["--timestamp-file", "t", "validate-config"], ["--timestamp-file", "t", "validate-config"]),
        (["--log-file", "customize", *FLAGS], ["--log-file", "customize", "customize", *FLAGS]),
        (["convert", "--x"], ["convert", "--x"]),
        (["nonsense"], ["nonsense"]),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
        (["--log-level", "debug", "--version"], ["--log-level", "debug", "--version"]),
        ([*FLAGS, "--help"], ["customize", *FLAGS, "--help"]),
        ([], ["customize"]),
    ],
)
def test_the_default_sub_command(words: list[str], expected: list[str]) -> None:
    assert with_command(words) == expected


@pytest.mark.parametrize(
    "words",
    [
        ["--log-level", "debug", *FLAGS],
        ["--log-level=debug", "customize", *FLAGS],
        [*FLAGS, "--log-level", "debug"],
        ["customize", "--log-level=debug", "--build-dir=b", "--config-file=c"],
        ["--log-level", "info", *FLAGS, "--log-level", "debug"],
    ],
)
def test_global_flags_before_and_after(words: list[str]) -> None:
    arguments = build_parser().parse_args(with_command(words))
    assert arguments.log_level == "debug" and arguments.log_format == "text"
    assert (arguments.build_dir, arguments.config_file) == (Path("b"), Path("c"))


def test_all_flags() -> None:
    words = [
        *FLAGS, "--image-file", "i", "--output-path", "o", "--output-image-format", "raw",
        "--rpm-source", "a,b", "--rpm-source=c\\,d", "--disable-base-image-rpm-repos", "--cosi-compression-level", "9",
    ]  # fmt: skip
    arguments = build_parser().parse_args(with_command(words))
    assert arguments.output_image_file == Path("o")
    assert split_list(arguments.rpm_source) == ("a", "b", "c,d")
    assert arguments.disable_base_image_rpm_repos and arguments.cosi_compression_level == 9


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, ()),
        ([], ()),
        (["a"], ("a",)),
        (["a,b", "c"], ("a", "b", "c")),
        (["a\\,b"], ("a,b",)),
        (["a,", ",b", ","], ("a", "b")),
        (["with space,b\\"], ("with space", "b\\")),
    ],
)
def test_split_list(values: list[str] | None, expected: tuple[str, ...]) -> None:
    assert split_list(values) == expected


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--build-dir", "b"],
        ["nonsense"],
        [*FLAGS, "stray"],
        [*FLAGS, "--unknown"],
        [*FLAGS, "--image-f", "x"],
        [*FLAGS, "--log-level", "loud"],
        [*FLAGS, "--cosi-compression-level", "much"],
        [*FLAGS, "--log-level"],
        ["--log-level"],
        ["--build-dir"],
        ["--build-dir", "", "--config-file", "c"],
    ],
)
def test_usage_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 80
    out, err = capsys.readouterr()
    assert out == "" and "usage: imagecustomizer" in err and "error:" in err


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--timestamp-file", "t", "validate-config", "--config-file", "c"], "--timestamp-file"),
        (["--timestamp-file=t", *FLAGS], "--timestamp-file"),
        (["convert", "--image-file", "i", "--timestamp-file", "t"], "--timestamp-file"),
        ([*FLAGS, "--tools-dir", "t"], "--tools-dir"),
        (["customize", "--setfiles-context=x"], "--setfiles-context"),
        ([*FLAGS, "--output-selinux-policy-path", "p"], "--output-selinux-policy-path"),
        (["create"], "create"),
        (["create", *FLAGS, "--distro", "fedora"], "create"),
        (["--log-level", "debug", "inject-files", *FLAGS, "--image-file", "x"], "inject-files"),
        (["inject-files", "--help"], "inject-files"),
    ],
)
def test_what_is_not_built_is_refused_by_name(words: list[str], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 80
    assert capsys.readouterr().err.endswith(f"error: {name} is not built yet in this version of twinroot\n")


def test_version_and_help_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in ((["--version"], __version__), (["--help"], "usage:"), ([*FLAGS, "-h"], "--rpm-source")):
        with pytest.raises(SystemExit) as caught:
            main(words)
        out, err = capsys.readouterr()
        assert caught.value.code == 0 and expected in out and err == ""
    assert __version__ and " " not in __version__


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as it changes how signals are handled."""
    return subprocess.run(
        [sys.executable, "-m", "twinroot.cli.imagecustomizer", *words], capture_output=True, text=True, check=False
    )


def test_a_wrong_config_is_told_with_its_places(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("os:\n\thostname: x\n")
    tabbed = run("--build-dir", tmp_path / "b", "--config-file", config)
    config.write_text("os:\n  hostnam: x\nstorage: 5\n")
    text = run("--build-dir", tmp_path / "b", "--config-file", config, "--log-color=never")
    as_json = run("--log-format", "json", "--build-dir", tmp_path / "b", "--config-file", config)
    for result in (tabbed, text, as_json):
        assert result.returncode == 1 and result.stdout == "" and "Traceback" not in result.stderr
    assert f"{config}:2:3: " in text.stderr and "    2 |   hostnam: x\n      |   ^" in text.stderr
    assert text.stderr.splitlines()[-1].startswith("FATA[") and "image customization failed: " in text.stderr
    records = [json.loads(line) for line in as_json.stderr.splitlines()]
    assert [record["level"] for record in records] == ["error", "error", "fatal"]
    assert records[0]["problem"]["line"] == 2 and records[0]["problem"]["file"] == str(config)
    assert all(record["time"].endswith("Z") and record["msg"] for record in records)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config-file", "/nonexistent.yaml"], "/nonexistent.yaml"),
        (["--config-file", "/"], "/"),
        (["--config-file", "EMPTY"], "no base image is given"),
        (["--config-file", "EMPTY", "--image-file", "/nonexistent"], "no output is given"),
        (["--config-file", "EMPTY", "--image-file", "x", "--output-path", "DIR"], "is a directory"),
        (["--config-file", "EMPTY", "--image-file", "x", "--output-path", "/no/x"], "no output format"),
        (["--config-file", "EMPTY", "--log-format=json", "--log-color=always"], "cannot be used together"),
        (["--config-file", "EMPTY", "--log-file", "/proc/x/y"], "the log file cannot be written"),
        (["--config-file", "EMPTY", "--log-file", "x" * 300], "the log file cannot be written"),
        (["--config-file", "y" * 300, "--log-file", "LOG"], "y" * 300),
        (["--config-file", "EMPTY", "--log-file", "EMPTY"], "--log-file names a file that the command works on"),
    ],
)
def test_wrong_input_is_one_clear_error(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "empty.yaml").write_text("{}\n")
    (tmp_path / "log").touch()
    names = {"EMPTY": str(tmp_path / "empty.yaml"), "DIR": str(tmp_path), "LOG": str(tmp_path / "log")}
    extra = ["--output-image-format", "raw"] if "DIR" in words else []
    result = run("--build-dir", tmp_path / "b", *(names.get(word, word) for word in words), *extra)
    assert result.returncode == 1 and result.stdout == ""
    assert message in result.stderr and "Traceback" not in result.stderr
    assert (tmp_path / "empty.yaml").read_text() == "{}\n"
