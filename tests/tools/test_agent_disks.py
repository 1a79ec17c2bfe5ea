"""Tables written to loop devices: the kernel and sfdisk see what was planned, and nothing in use is touched."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.isolated import isolated

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage import claims
from twinroot.agent.storage.disk_facts import disk_facts, foreign_uuids, read_facts
from twinroot.agent.storage.disk_plan import plan_disks
from twinroot.agent.storage.disk_write import partition_paths, write_tables
from twinroot.config.host.storage import Storage
from twinroot.errors import BusyError
from twinroot.units import MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")

SEED = UUID(int=5)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 MiB."""
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(128 * MIB)
    device = subprocess.run(
        ["losetup", "--find", "--show", tmp_path / "disk"], capture_output=True, text=True, check=True
    ).stdout.strip()
    yield Path(device)
    subprocess.run(["partx", "--delete", device], check=False, capture_output=True)
    subprocess.run(["losetup", "--detach", device], check=True)


def storage_of(device: Path, adopt: bool = False) -> Storage:
    disk = {
        "id": "os",
        "device": str(device),
        "partitionTableType": "gpt",
        "partitions": [{"id": "b" if adopt else "a", "size": "16M"}, {"id": "rest", "size": "grow"}],
    }
    return Storage.model_validate(
        {"disks": [disk | ({"adoptedPartitions": [{"id": "a", "matchLabel": "a"}]} if adopt else {})]}
    )


def install(loop: Path, links: Path, adopt: bool = False) -> dict[str, str]:
    """Plan and write; in place of udev, the links are there before what they lead to."""
    storage = storage_of(loop, adopt)
    plans = plan_disks(storage, read_facts(storage), architecture="x86_64", seed=SEED)
    links.mkdir(exist_ok=True)
    for name, path in partition_paths(plans, links).items():
        Path(path).unlink(missing_ok=True)
        Path(path).symlink_to(f"{loop}p{plans[0].numbers[name]}")
    return write_tables(plans, links)


def sfdisk(loop: Path) -> list[dict[str, object]]:
    text = subprocess.run(["sfdisk", "--json", loop], capture_output=True, text=True, check=True).stdout
    partitions: list[dict[str, object]] = json.loads(text)["partitiontable"]["partitions"]
    return partitions


def test_a_new_table_and_then_an_adopted_partition(loop: Path, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", loop], check=True)
    paths = install(loop, tmp_path / "links")
    assert [(each["name"], each["size"]) for each in sfdisk(loop)] == [("a", 32768), ("rest", (128 - 18) * 2048)]
    command = ["wipefs", "--noheadings", "--output", "TYPE", str(loop)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == [
        "gpt", "gpt", "PMBR",
    ]  # fmt: skip
    Path(paths["a"]).write_bytes(b"kept" * 1000)
    before = disk_facts(loop)
    assert before.table and before.uses == ()

    again = install(loop, tmp_path / "links", adopt=True)
    assert again["a"] == paths["a"] and Path(again["a"]).read_bytes()[:4000] == b"kept" * 1000
    assert [(each["name"], each["size"]) for each in sfdisk(loop)] == [
        ("a", 32768), ("b", 32768), ("rest", (128 - 34) * 2048),
    ]  # fmt: skip


def test_a_mounted_partition_keeps_its_disk(loop: Path, tmp_path: Path) -> None:
    paths = install(loop, tmp_path / "links")
    subprocess.run(["mkfs.ext4", "-q", paths["a"]], check=True)
    start = loop.read_bytes()[:MIB]
    code = """
import subprocess
from twinroot.agent.storage.disk_facts import disk_facts
from twinroot.agent.storage.disk_plan import plan_disks
from twinroot.agent.storage.disk_write import write_tables
from tests.tools.test_agent_disks import SEED, storage_of
from twinroot.errors import BusyError
from dataclasses import replace
loop, part, target = map(Path, sys.argv[1:])
target.mkdir()
subprocess.run(["mount", part, target], check=True)
facts = disk_facts(loop)
said = []
for uses in (facts.uses, ()):
    try:
        plans = plan_disks(storage_of(loop), {"os": replace(facts, uses=uses)}, architecture="x86_64", seed=SEED)
        write_tables(plans)
    except BusyError as error:
        said.append(error.message)
subprocess.run(["umount", target], check=True)
print(json.dumps(said))
"""
    said = isolated(code, loop, Path(paths["a"]).resolve(), tmp_path / "mnt")
    assert len(said) == 2 and "mounted at" in said[0] and said[1] == "the device is in use"
    assert loop.read_bytes()[:MIB] == start


def test_nothing_is_written_when_one_of_the_disks_is_locked(
    loop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second").write_bytes(bytes(128 * MIB))
    command = ["losetup", "--find", "--show", str(tmp_path / "second")]
    second = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    try:
        subprocess.run(["mkfs.ext4", "-q", loop], check=True)
        before = loop.read_bytes()
        disks = [{"id": name, "device": str(each), "partitionTableType": "gpt",
                  "partitions": [{"id": f"{name}-1", "size": "grow"}]}
                 for name, each in (("first", loop), ("second", second))]  # fmt: skip
        storage = Storage.model_validate({"disks": disks})
        plans = plan_disks(storage, read_facts(storage), architecture="x86_64", seed=SEED)
        monkeypatch.setattr(claims, "PATIENCE", 0.3)
        with second.open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(BusyError, match="another program has locked the disk"):
                write_tables(plans, tmp_path / "links")
        assert loop.read_bytes() == before
    finally:
        subprocess.run(["losetup", "--detach", second], check=True)


def test_what_is_no_disk(loop: Path, tmp_path: Path) -> None:
    paths = install(loop, tmp_path / "links")
    for path in (Path("/dev/null"), tmp_path / "absent", tmp_path / "disk", Path(paths["a"])):
        with pytest.raises(ServicingError):
            disk_facts(path)


def test_uuids_of_other_disks(loop: Path, tmp_path: Path) -> None:
    paths = install(loop, tmp_path / "links")
    named = {UUID(Path(path).name) for path in paths.values()}
    assert foreign_uuids([], tmp_path / "links") == named
    assert foreign_uuids([disk_facts(loop)], tmp_path / "links") == frozenset()
