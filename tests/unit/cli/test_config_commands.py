"""`validate-config`, `config check`, `config show`, `config schema`, `plan`: what they print and how they end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = "os:\n  hostname: a\n"
BAD = "os:\n  hostname: a_b\n  bootLoader: {}\n"


def run(program: str, *words: object, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a front door in a directory, with nothing on its search path: no other program may be needed."""
    env = {key: value for key, value in os.environ.items() if key != "PATH"} | {"TWINROOT_TOOL_PATH": "/nonexistent"}
    argv = [sys.executable, "-m", f"twinroot.cli.{program}", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=directory, env=env)
    done.stderr = re.sub(r"^([A-Z]{4})\[\d+\]", r"\1[0000]", done.stderr, flags=re.MULTILINE)  # seconds vary
    return done


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def test_validate_config_accepts(place: Path) -> None:
    result = run("imagecustomizer", "validate-config", "--config-file", "good.yaml", directory=place)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "INFO[0000] Config validation succeeded\n"


def test_validate_config_refuses(place: Path) -> None:
    result = run("imagecustomizer", "validate-config", "--config-file=bad.yaml", "--log-level=info", directory=place)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "ERRO[0000] bad.yaml:2:13: os.hostname: 'a_b' is not a host name (use letters, digits and hyphens, with dots "
        "between parts of at most 63 characters)\n"
        "    2 |   hostname: a_b\n"
        "      |             ^\n"
        "ERRO[0000] bad.yaml:3:3: os.bootLoader: unknown key 'bootLoader' (did you mean 'bootloader'?)\n"
        "    3 |   bootLoader: {}\n"
        "      |   ^\n"
        "FATA[0000] config validation failed: the configuration has 2 problems\n"
    )


def test_machine_readable_problems(place: Path) -> None:
    result = run(
        "imagecustomizer", "--log-format", "json", "validate-config", "--config-file", "bad.yaml", directory=place
    )
    records = [json.loads(line) for line in result.stderr.splitlines()]
    assert [record.get("problem", {}).get("key") for record in records] == ["os.hostname", "os.bootLoader", None]
    assert records[1]["problem"] == {
        "file": "bad.yaml",
        "line": 3,
        "column": 3,
        "key": "os.bootLoader",
        "message": "unknown key 'bootLoader'",
        "hint": "did you mean 'bootloader'?",
    }


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 80, "--config-file"),
        (["--config-file", "absent.yaml"], 1, "absent.yaml: there is no such file"),
        (["--config-file", "good.yaml", "--validate-resources", "everything"], 1, "use files, oci, all"),
        (["--config-file", "good.yaml", "--validate-resources", "files,oci"], 1, "add --build-dir DIR"),
        (["--config-file", "good.yaml", "--validate-resources", "all"], 1, "add --build-dir DIR"),
        (["--config-file", "good.yaml", "--validate-resources=files"], 0, "Config validation succeeded"),
        (["--config-file", "good.yaml", "--validate-resources=all", "--build-dir", "b"], 0, "succeeded"),
        (["--config-file", "files.yaml"], 0, "succeeded"),
        (["--config-file", "files.yaml", "--validate-resources=files"], 1, "there is no such file: absent"),
    ],
)
def test_flags_of_validate_config(place: Path, words: list[str], code: int, says: str) -> None:
    (place / "files.yaml").write_text("os: {additionalFiles: [{source: absent, destination: /a}]}")
    result = run("imagecustomizer", "validate-config", *words, directory=place)
    assert (result.returncode, says in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["validate-config", "--validate-resources=files"],
        ["customize", "--build-dir=b", "--image-file=i.raw", "--output-image-file=o", "--output-image-format=raw"],
    ],
)
def test_missing_files_are_told_with_the_mistakes(place: Path, command: list[str]) -> None:
    (place / "both.yaml").write_text("os:\n  additionalFiles: [{source: absent, destination: /a}]\n  hostnam: a\n")
    result = run("imagecustomizer", "--log-format=json", *command, "--config-file=both.yaml", directory=place)
    records = [json.loads(line) for line in result.stderr.splitlines()]
    assert [record["problem"]["key"] for record in records if "problem" in record] == [
        "os.additionalFiles[0].source",
        "os.hostnam",
    ]
    assert result.returncode == 1


def test_check_of_several_files(place: Path) -> None:
    (place / "inject.yaml").write_text("previewFeatures: [inject-files]\ninjectFiles: []\n")
    result = run("main", "config", "check", "good.yaml", "inject.yaml", directory=place)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "good.yaml: valid\ninject.yaml: valid\n"
    (place / "inject.yaml").write_text("injectFiles: []\n")
    result = run("main", "config", "check", "bad.yaml", "good.yaml", "inject.yaml", directory=place)
    assert (result.returncode, result.stdout) == (1, "")
    assert "bad.yaml:2:13" in result.stderr
    assert "inject.yaml:1:14: injectFiles: this needs the preview feature 'inject-files'" in result.stderr
    assert result.stderr.endswith("config check failed: the configuration has 3 problems\n")


DOCUMENTS = "os: {hostname: a}\n---\nos: {hostname: b}\n"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("main", ["config", "check", "c.yaml"]),
        ("main", ["config", "show", "c.yaml"]),
        ("main", ["plan", "--config-file", "c.yaml"]),
        ("main", ["customize", "--build-dir=b", "--config-file", "c.yaml"]),
        ("imagecustomizer", ["validate-config", "--config-file", "c.yaml"]),
        ("main", ["config", "check", "base.yaml"]),
        ("main", ["config", "check", "list.yaml"]),
        ("main", ["config", "check", "inject.yaml"]),
        ("main", ["config", "check", "host.yaml"]),
        ("trident", ["validate", "host.yaml"]),
    ],
)
def test_a_second_document_is_a_warning(place: Path, program: str, words: list[str]) -> None:
    """In the file that is named, the one that it builds upon, or a list of packages."""
    (place / "c.yaml").write_text(DOCUMENTS)
    (place / "base.yaml").write_text("previewFeatures: [base-configs]\nbaseConfigs: [{path: c.yaml}]\n")
    (place / "packages.yaml").write_text("packages: [vim]\n---\npackages: [curl]\n")
    (place / "list.yaml").write_text("os: {packages: {installLists: [packages.yaml]}}\n")
    (place / "inject.yaml").write_text("injectFiles: []\npreviewFeatures: [inject-files]\n---\na: 1\n")
    (place / "host.yaml").write_text("trident: {disable: true}\n---\nos: {hostname: b}\n")
    result = run(program, *words, directory=place)
    assert result.returncode == (1 if "customize" in words else 0)  # customize is not told of a base image
    found = [line for line in result.stderr.splitlines() if line.startswith("WARN")]
    file = {"base.yaml": "c.yaml", "list.yaml": "packages.yaml"}.get(words[-1], words[-1])
    line = 3 if file == "inject.yaml" else 2
    assert len(found) == 1 and f" {file}:{line}:1: another YAML document begins here" in found[0]


def test_problems_of_base_configurations_name_their_file(place: Path) -> None:
    (place / "child.yaml").write_text("previewFeatures: [base-configs]\nbaseConfigs: [{path: bad.yaml}]\nost: 1\n")
    result = run("main", "config", "check", "child.yaml", directory=place)
    assert [line.split(": ")[0] for line in result.stderr.splitlines() if "ERRO" in line] == [
        "ERRO[0000] bad.yaml:2:13",
        "ERRO[0000] bad.yaml:3:3",
        "ERRO[0000] child.yaml:3:1",
    ]


def test_show_with_origins(place: Path) -> None:
    (place / "base").mkdir()
    (place / "base/b.yaml").write_text(
        "os:\n  hostname: b\n  packages: {install: [vim]}\n  additionalFiles:\n  - {source: f, destination: /f}\n"
    )
    (place / "child.yaml").write_text(
        "previewFeatures: [base-configs]\nbaseConfigs:\n- path: base/b.yaml\n"
        "os:\n  hostname: child\n  packages:\n    install: [curl]\n"
    )
    result = run("main", "config", "show", "child.yaml", "--origin", directory=place)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "os:\n"
        "  hostname: child    # child.yaml:5\n"
        "  packages:\n"
        "    install:\n"
        "    - vim            # base/b.yaml:3\n"
        "    - curl           # child.yaml:7\n"
        "  additionalFiles:\n"
        "  - source: base/f   # base/b.yaml:5\n"
        "    destination: /f  # base/b.yaml:5\n"
        "previewFeatures:\n"
        "- base-configs       # child.yaml:1\n"
    )
    result = run("main", "config", "show", "child.yaml", "--origin", "--json", directory=place)
    shown = json.loads(result.stdout)
    assert shown["config"]["os"]["packages"] == {"install": ["vim", "curl"]}
    assert shown["origins"]["os.packages.install[0]"] == {"file": "base/b.yaml", "line": 3}


def test_what_is_shown_is_a_configuration(place: Path) -> None:
    result = run("main", "config", "show", "good.yaml", directory=place)
    assert result.stdout == GOOD
    result = run("main", "config", "show", "bad.yaml", directory=place)
    assert (result.returncode, result.stdout) == (1, "")


@pytest.mark.parametrize("language", ["image", "inject-files", "package-list"])
def test_schema(place: Path, language: str) -> None:
    result = run("main", "config", "schema", "--language", language, directory=place)
    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


PLANNED = """\
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    maxSize: 1G
    partitions:
    - {id: esp, type: esp, size: 64M}
    - {id: root, size: 640M}
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
  - {deviceId: root, type: ext4, mountPoint: /}
os:
  bootloader: {resetType: hard-reset}
  users: [{name: a}]
output: {image: {format: iso}}
"""


def test_plan(place: Path) -> None:
    (place / "c.yaml").write_text(PLANNED)
    result = run("main", "plan", "--config-file", "c.yaml", "--image-file", "absent.vhdx", directory=place)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "Disk of 1 GiB"
    assert [line for line in lines if line[:2].strip().isdigit()] == [
        " 1  Open the base image, read-only",
        " 2  Lay out a disk of 1 GiB with 2 partitions",
        " 3  Write /etc/fstab",
        " 4  Create or change users: a",
        " 5  Write /etc/image-customizer-release",
        " 6  Add to the history of the image",
        " 7  Reset the boot loader",
        " 8  Regenerate the initramfs with the image's own tool",
        " 9  Link /etc/resolv.conf to systemd-resolved, if nothing else is there",
        "10  Set SELinux labels, if the image uses SELinux",
        "11  Check that a kernel is installed",
        "12  Make the file systems",
        "13  Write the output as iso",
    ]
    assert lines[-2:] == [
        "This version of twinroot cannot carry it out:",
        "  c.yaml:15:26: output.image.format: the value 'iso' is not built yet in this version of twinroot",
    ]


def test_plan_as_json(place: Path) -> None:
    (place / "c.yaml").write_text(PLANNED)
    result = run("main", "plan", "--config-file", "c.yaml", "--json", directory=place)
    planned = json.loads(result.stdout)
    assert planned["files"] == ["c.yaml"]
    assert planned["steps"][3] == {
        "action": "users", "title": "Create or change users: a", "details": [], "file": "c.yaml",
    }  # fmt: skip
    assert planned["disk"]["size"] == 1024**3
    assert [part["content"] for part in planned["disk"]["partitions"]] == ["/boot/efi", "/"]
    assert planned["disk"]["partitions"][1]["start"] == 65 * 1024**2
    assert planned["notBuilt"][0]["key"] == "output.image.format"


@pytest.mark.parametrize("flag", [[], ["--output-image-format", "vhd"]])
def test_plan_knows_how_large_a_disk_of_the_format_can_be(place: Path, flag: list[str]) -> None:
    (place / "c.yaml").write_text(PLANNED.replace("maxSize: 1G", "maxSize: 3T").replace("iso", "raw"))
    result = run("main", "plan", "--config-file", "c.yaml", *flag, directory=place)
    assert result.returncode == (1 if flag else 0)
    message = "c.yaml:5:14: storage.disks[0].maxSize: the disk has 3 TiB; one of format vhd has at most 2040 GiB"
    assert (message in result.stderr) == bool(flag)


def test_plan_shows_the_snapshot_time_of_the_command_line(place: Path) -> None:
    text = "os: {packages: {install: [vim]}}\n"
    (place / "c.yaml").write_text("previewFeatures: [package-snapshot-time]\n" + text)
    arguments = ("plan", "--config-file", "c.yaml", "--package-snapshot-time")
    result = run("main", *arguments, "2025-02-03", directory=place)
    assert "    only packages published before 2025-02-03T00:00:00+00:00" in result.stdout.splitlines()
    wrong = run("main", *arguments, "yesterday", directory=place)
    assert (wrong.returncode, wrong.stdout) == (1, "") and "'yesterday' is not a point in time" in wrong.stderr
    (place / "c.yaml").write_text(text)
    without = run("main", *arguments, "2025-02-03", directory=place)
    assert "--package-snapshot-time needs the preview feature 'package-snapshot-time'" in without.stderr


def test_plan_asks_for_the_preview_feature_of_images_in_registries(place: Path) -> None:
    result = run("main", "plan", "--config-file", "good.yaml", "--image", "oci:example.com/a:1", directory=place)
    assert "--image needs the preview feature 'input-image-oci'" in result.stderr


def test_plan_without_a_layout(place: Path) -> None:
    result = run("main", "plan", "--config-file", "good.yaml", "--json", directory=place)
    assert json.loads(result.stdout)["disk"] is None
    result = run("main", "plan", "--config-file", "bad.yaml", directory=place)
    assert (result.returncode, result.stdout) == (1, "")
