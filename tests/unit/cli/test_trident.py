"""`trident`: flags, exit codes and output of `validate`, and `twinroot config check` for host configurations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.test_config_commands import run

from twinroot import __version__

GOOD = "trident: {disable: true}\nos: {hostname: a}\n"
BAD = "trident: {disable: true}\nos:\n  users: [{name: a}, {name: a}]\n  hostNam: b\n"
WARNS = "trident: {disable: true}\ninternalParams: {uki: true}\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "warns.yaml").write_text(WARNS)
    (tmp_path / "image.yaml").write_text("os:\n  bootloader: {resetType: hard-reset}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["validate", "good.yaml"], 0, "INFO[0000] Host Configuration is valid: good.yaml"),
        (["-v", "WARN", "validate", "good.yaml"], 0, ""),
        (["--verbosity=off", "validate", "bad.yaml"], 2, ""),
        (
            ["validate", "bad.yaml", "-v", "Error"],
            2,
            "ERRO[0000] bad.yaml:3:29: os.users[1].name: the user 'a' is listed",
        ),
        (["validate", "absent.yaml"], 2, "there is no such file"),
        (
            ["validate", "warns.yaml"],
            0,
            "WARN[0000] warns.yaml:2:23: internalParams.uki: this is an internal parameter",
        ),
        (["validate", "good.yaml", "bad.yaml"], 2, "unrecognized arguments: bad.yaml"),
        (["validate", "-v", "loud"], 2, "invalid choice: 'loud'"),
        (["validat"], 2, "invalid choice: 'validat'"),
        (["rebuild-raid"], 2, "unimplemented command: RAID arrays are not built yet"),
        (["rebuild-raid", "-c", "good.yaml", "--status", "a"], 2, "unimplemented command: RAID arrays"),
        (["start-network", "good.yaml"], 0, "good.yaml has no network for this system; nothing was changed"),
        (["start-network", "bad.yaml"], 2, "the configuration has 2 problems"),
        (["diagnose"], 2, "the following arguments are required: -o/--output"),
        (["diagnose", "-o", "absent/x"], 2, "the output directory absent does not exist"),
        ([], 2, "the following arguments are required: COMMAND"),
    ],
)
def test_validate(place: Path, words: list[str], code: int, says: str) -> None:
    result = run("trident", *words, directory=place)
    assert (result.returncode, result.stdout) == (code, "")
    assert says in result.stderr
    assert says or not result.stderr
    assert "Traceback" not in result.stderr


def test_diagnose(place: Path) -> None:
    result = run("trident", "-v", "info", "diagnose", "--output", "bundle.tar.zst", directory=place)
    assert (result.returncode, result.stdout) == (0, "")
    assert "Wrote bundle.tar.zst with" in result.stderr
    assert (place / "bundle.tar.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    assert {path.name for path in place.iterdir()} == {
        "good.yaml", "bad.yaml", "warns.yaml", "image.yaml", "bundle.tar.zst"
    }  # fmt: skip


def test_without_a_name_the_configuration_of_the_machine_is_meant(place: Path) -> None:
    result = run("trident", "validate", "--help", directory=place)
    assert (result.returncode, "default: /etc/trident/config.yaml" in " ".join(result.stdout.split())) == (0, True)


def loaded_by(statement: str) -> set[str]:
    """The packages that are loaded after a statement."""
    text = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_what_the_daemon_needs_is_loaded_by_nobody_else() -> None:
    loaded = loaded_by("import twinroot.cli.trident as t; t.build_parser()")
    assert not loaded & {"grpclib", "google", "h2", "multidict", "asyncio", "pydantic"}


@pytest.mark.parametrize("command", ["commit", "roll_back"])
def test_every_start_of_a_machine_is_quick(command: str) -> None:
    assert not loaded_by(f"import twinroot.agent.servicing.{command}") & {"requests", "urllib3", "ssl"}


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(place: Path, flag: str) -> None:
    assert run("trident", flag, directory=place).stdout == f"trident {__version__}\n"


def test_every_mistake_at_its_place(place: Path) -> None:
    result = run("trident", "validate", "bad.yaml", directory=place)
    assert result.stderr == (
        "ERRO[0000] bad.yaml:3:29: os.users[1].name: the user 'a' is listed twice [duplicate-usernames]\n"
        "    3 |   users: [{name: a}, {name: a}]\n"
        "      |                             ^\n"
        "ERRO[0000] bad.yaml:4:3: os.hostNam: unknown key 'hostNam' (did you mean 'hostname'?)\n"
        "    4 |   hostNam: b\n"
        "      |   ^\n"
        "FATA[0000] Host Configuration is not valid: the configuration has 2 problems\n"
    )


def test_config_check_recognises_languages(place: Path) -> None:
    result = run("main", "config", "check", "good.yaml", "image.yaml", "warns.yaml", directory=place)
    assert (result.returncode, result.stdout) == (0, "good.yaml: valid\nimage.yaml: valid\nwarns.yaml: valid\n")
    assert "WARN" in result.stderr
    result = run("main", "config", "check", "--language", "image", "good.yaml", directory=place)
    assert (result.returncode, "unknown key 'trident'" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("program", "words", "code", "says"),
    [
        ("trident", ["validate", "image.yaml"], 2, "image.yaml:1:1: this seems to be an image configuration"),
        ("main", ["plan", "--config-file", "bad.yaml"], 1, "bad.yaml:1:1: this seems to be a host configuration"),
        ("main", ["customize", "--build-dir=b", "--config-file", "bad.yaml"], 1, "trident validate checks it"),
        ("imagecustomizer", ["validate-config", "--config-file", "bad.yaml"], 1, "bad.yaml:1:1: this seems to be a"),
    ],
)
def test_a_configuration_of_another_kind_is_one_problem(
    place: Path, program: str, words: list[str], code: int, says: str
) -> None:
    (place / "image.yaml").write_text("output: {image: {path: a}}\nos:\n  bootloader: {resetType: hard-reset}\n")
    result = run(program, *words, directory=place)
    assert (result.returncode, result.stdout) == (code, "")
    assert says in result.stderr
    assert "the configuration has 1 problem\n" in result.stderr


def test_names_of_the_peer_for_programs(place: Path) -> None:
    result = run("main", "config", "check", "bad.yaml", "--log-format", "json", directory=place)
    problems = [found["problem"] for line in result.stderr.splitlines() if "problem" in (found := json.loads(line))]
    assert [problem.get("code") for problem in problems] == ["duplicate-usernames", None]
