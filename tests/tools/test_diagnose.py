"""The bundle of diagnostics: what is in it, who may read it, and that nothing on a broken machine stops it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import zstandard
from tests.unit.agent.statuses import config, status

from twinroot.agent.agent_config import DEFAULT_PATH
from twinroot.agent.boot.efi_variables import EFIVARS, EfiVariables, Set, Variable
from twinroot.agent.datastore import Datastore
from twinroot.agent.diagnose import FOLDER, Contents, wanted_files, write_bundle
from twinroot.agent.states import State
from twinroot.config.host.places import DEFAULT_DATASTORE
from twinroot.formats.efi_boot import HardDrive, new_option, write_numbers, write_option

HISTORICAL = "trident-AbUpdateStaged-20261126T000000Z.log"
FAILED = "trident-health-check-failure-20261126T000000Z.log"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine's files, with a datastore where its agent was told to keep it."""
    root = tmp_path / "root"
    files: dict[str | Path, str] = {
        "etc/fstab": "UUID=1 / ext4\n",
        DEFAULT_PATH.relative_to("/"): "DatastorePath=/srv/state.sqlite\n",
        "var/log/trident-full.log": '{"level": "INFO"}\n' * 1000,
        "var/log/audit/audit.log": "denied\n",
        f"srv/{HISTORICAL}": "old\n",
        f"srv/{FAILED}": "check 'web' failed\n",
        "srv/other.log": "not ours\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    variables = root / EFIVARS.relative_to("/")
    variables.mkdir(parents=True)
    option = new_option("AZLA", HardDrive(1, 2048, 16384, UUID(int=7)), "\\EFI\\AZLA\\bootx64.efi")
    EfiVariables(variables).carry_out(
        [Set(Variable("Boot0001"), write_option(option)), Set(Variable("BootOrder"), write_numbers([1]))]
    )
    with Datastore.create(root / "srv/state.sqlite") as store:
        store.write(status(State.PROVISIONED, config("1"), ab_active_volume="volume-b"))
    return root


def members(bundle: Path) -> dict[str, bytes]:
    data = zstandard.ZstdDecompressor().stream_reader(bundle.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {}
        for member in archive:
            file = archive.extractfile(member)
            assert file and member.name.startswith(f"{FOLDER}/")
            found[member.name.removeprefix(f"{FOLDER}/")] = file.read()
        return found


def collected(machine: Path, **options: bool) -> tuple[dict[str, bytes], dict[str, Any], Contents]:
    bundle = machine.parent / "bundle.tar.zst"
    contents = write_bundle(bundle, version="1.2", root=machine, **options)
    assert bundle.stat().st_mode & 0o777 == 0o600
    found = members(bundle)
    return found, json.loads(found["report.json"]), contents


def test_what_is_collected(machine: Path) -> None:
    found, report, contents = collected(machine)
    assert set(found) == {
        "report.json", "logs/trident-full.log", f"logs/historical/{HISTORICAL}", f"logs/historical/{FAILED}",
        "datastore-configured.sqlite", "files/fstab", "files/config.yaml",
    }  # fmt: skip
    assert found["files/fstab"] == b"UUID=1 / ext4\n"
    assert found["datastore-configured.sqlite"] == (machine / "srv/state.sqlite").read_bytes()
    assert report["version"] == "1.2"
    assert report["hostStatus"]["servicingState"] == "provisioned"
    host = report["hostDescription"]
    assert host["healthCheckStatus"] == "check 'web' failed\n"
    assert host["platformInfo"]["kernel"] == os.uname().release
    assert {each["target"] for each in host["mountInfo"]["filesystems"]} >= {"/", "/proc"}
    assert host["bootEntries"]["order"] == ["Boot0001"]
    entry = {
        "description": "AZLA",
        "active": True,
        "partition": str(UUID(int=7)),
        "loader": "\\EFI\\AZLA\\bootx64.efi",
    }
    assert host["bootEntries"]["entries"] == {"Boot0001": entry}
    assert set(host) == {
        "isContainer", "isVirtual", "virtType", "platformInfo", "blockdevInfo", "mountInfo", "healthCheckStatus",
        "pcrlockLog", "bootEntries", "tridentService",
    }  # fmt: skip
    assert {each["path"] for each in report["collectedFiles"]} == set(found) - {"report.json"}
    assert report["collectionFailures"] == contents.failures
    assert {each["item"] for each in contents.failures} >= {"logs/trident-metrics.jsonl", "datastore.sqlite"}


def test_what_is_asked_for_besides(machine: Path) -> None:
    found, _, contents = collected(machine, selinux=True, full_journal=True)
    assert found["selinux/audit.log"] == b"denied\n"
    # A machine without systemd has no journal to read.
    failed = {each["item"] for each in contents.failures}
    assert "full-journal" in found or "full-journal" in failed


def test_a_machine_on_which_nothing_is_whole(machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (machine / "srv/state.sqlite").write_bytes(b"garbage" * 100)
    (machine / "var/log/trident-full.log").unlink()
    os.mkfifo(machine / "var/log/trident-full.log")
    (machine / "etc/fstab").unlink()
    (machine / "etc/fstab").mkdir()
    monkeypatch.setenv("TWINROOT_TOOL_PATH", str(tmp_path))
    found, report, _ = collected(machine, full_journal=True)
    assert set(found) == {
        "report.json", f"logs/historical/{HISTORICAL}", f"logs/historical/{FAILED}", "datastore-configured.sqlite",
        "files/config.yaml",
    }  # fmt: skip
    assert report["hostStatus"] is None
    failures = {each["item"]: each["error"] for each in report["collectionFailures"]}
    assert "is no plain file" in failures["logs/trident-full.log"]
    assert "is no plain file" in failures["files/fstab"]
    assert "not a database" in failures["hostStatus"]
    assert failures["mountInfo"] == "the program 'findmnt' is not installed"
    assert {"virtType", "blockdevInfo", "full-journal", "tridentService.journal"} <= set(failures)


def test_an_empty_machine(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    found, report, _ = collected(tmp_path / "root")
    assert set(found) == {"report.json"}
    assert report["collectedFiles"] == []


def test_a_configured_datastore_is_named_once() -> None:
    names = [wanted.name for wanted in wanted_files(Path(DEFAULT_DATASTORE), (), selinux=False)]
    assert "datastore-configured.sqlite" not in names and len(set(names)) == len(names)
