"""`trident offline-initialize` on a disk with its partitions mounted: the command runs in a root on that disk."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.images import REPOSITORY
from tests.unit.agent.statuses import config, status

from twinroot.agent.datastore import Datastore
from twinroot.agent.host_status import write_status
from twinroot.agent.states import State
from twinroot.units import MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")

TABLE = "label: gpt\nsize=8MiB, type=uefi\nsize=24MiB\nsize=24MiB\nsize=8MiB\n"
HISTORY = "/var/lib/trident/history.json"
# The programs of the host below a root on the disk: what counts is which device is mounted at /.
SCRIPT = """
set -e
root=$1 disk=$2; shift 2
mount "${disk}p2" "$root"
mkdir -p "$root/var/lib/trident" "$root/boot/efi" "$root/etc/trident" "$root/var/log"
for path in /usr /bin /lib /lib64 /sbin /proc /sys /dev "$@"; do
    if [ "$path" = -- ]; then break; fi
    if [ -L "$path" ]; then [ -L "$root$path" ] || cp -P "$path" "$root$path"; continue; fi
    mkdir -p "$root$path"
    mount --rbind "$path" "$root$path"
done
while [ "$1" != -- ]; do shift; done
shift
mount --bind "$root.esp" "$root/boot/efi"
mount --bind "$root.state" "$root/var/lib/trident"
exec chroot "$root" "$@"
"""


class Rooted:
    """A disk with a root on its second partition, and what is mounted in that."""

    def __init__(self, place: Path, disk: str) -> None:
        self.root, self.disk = place / "root", disk
        self.esp, self.state = place / "root.esp", place / "root.state"
        self.root.mkdir()
        (self.esp / "EFI/BOOT").mkdir(parents=True)
        self.state.mkdir()
        (self.esp / "EFI/BOOT/BOOTX64.EFI").write_bytes(b"shim")
        (self.esp / "EFI/BOOT/grubx64.efi").write_bytes(b"grub")
        text = (REPOSITORY / "examples/ab-image.yaml").read_text()
        self.history = self.state / "history.json"
        self.history.write_text(json.dumps([{"config": yaml.load(text, yaml.BaseLoader)}]))

    def trident(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run the command with the disk's root as `/`."""
        needed = {str(path) for path in (REPOSITORY, Path(sys.prefix), Path(sys.executable).resolve().parents[1])}
        needed = {path for path in needed if not path.startswith("/usr")}
        inside = [sys.executable, "-m", "twinroot.cli.trident", *map(str, words)]
        argv = ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(self.root), self.disk, *sorted(needed), "--"]
        return subprocess.run([*argv, *inside], capture_output=True, text=True, check=False)

    def rows(self) -> list[Any]:
        """What is in the datastore."""
        with closing(sqlite3.connect(self.state / "datastore.sqlite")) as connection:
            return [yaml.safe_load(text) for (text,) in connection.execute("SELECT contents FROM hoststatus")]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Rooted]:
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(128 * MIB)
    subprocess.run(["sfdisk", "--quiet", tmp_path / "disk"], input=TABLE, text=True, check=True)
    command = ["losetup", "--find", "--show", str(tmp_path / "disk")]
    disk = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        subprocess.run(["partx", "--add", disk], check=True)
        subprocess.run(["mkfs.ext4", "-q", f"{disk}p2"], check=True)
        yield Rooted(tmp_path, disk)
    finally:
        subprocess.run(["partx", "--delete", disk], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", disk], check=True)


def uuids(disk: str) -> list[str]:
    command = ["sfdisk", "--json", disk]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["partitiontable"]
    return [text.lower() for text in (found["id"], *(each["uuid"] for each in found["partitions"]))]


def test_a_machine_is_made_known_once(machine: Rooted) -> None:
    flags = ("--disk", machine.disk, "--history-path", HISTORY)
    done = machine.trident("offline-initialize", *flags)
    assert done.returncode == 0, done.stderr
    [row] = machine.rows()
    disk_uuid, *partitions = uuids(machine.disk)
    assert (row["servicingState"], row["abActiveVolume"]) == ("provisioned", "volume-a")
    assert row["diskUuids"] == {"disk0": disk_uuid}
    assert row["spec"]["storage"]["disks"][0]["device"] == machine.disk
    names = ("esp", "root-a", "root-b", "trident")
    assert row["partitionPaths"] == {
        name: f"/dev/disk/by-partuuid/{uuid}" for name, uuid in zip(names, partitions, strict=True)
    }
    copied = {path.name: path.read_bytes() for path in (machine.esp / "EFI/AZLA").iterdir()}
    assert copied == {"BOOTX64.EFI": b"shim", "grubx64.efi": b"grub"}
    assert [path.name for path in (machine.esp / "EFI").iterdir() if path.name.endswith(".new")] == []

    (machine.esp / "EFI/AZLA/grubx64.efi").write_bytes(b"other")
    again = machine.trident("offline-initialize", *flags)
    assert (again.returncode, "provisioned already; nothing is changed" in again.stderr) == (0, True)
    assert machine.rows() == [row]
    assert (machine.esp / "EFI/AZLA/grubx64.efi").read_bytes() == b"other"
    shown = machine.trident("get", "status")
    assert yaml.safe_load(shown.stdout) == row


def test_a_commit_has_nothing_to_do_before(machine: Rooted) -> None:
    done = machine.trident("commit")
    assert (done.returncode, done.stdout) == (0, "")
    assert "there is no datastore at /var/lib/trident/datastore.sqlite" in done.stderr
    assert "trident offline-initialize" in done.stderr
    assert not (machine.state / "datastore.sqlite").exists()
    assert machine.trident("update").returncode == 2


def test_a_slot_directory_that_is_there_is_kept(machine: Rooted) -> None:
    (machine.esp / "EFI/azla").mkdir()
    done = machine.trident(
        "offline-initialize", "--disk", machine.disk, "--history-path", "/var/lib/trident/history.json"
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (machine.esp / "EFI").iterdir()) == ["BOOT", "azla"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--history-path", "HISTORY"), "there is no disk /dev/sda"),
        (("--disk", "/dev/null", "--history-path", "HISTORY"), "is not the disk that the root is on"),
        (("--disk", "DISK"), "no file /usr/share/image-customizer/history.json"),
        (("--disk", "DISK", "--history-path", "/etc"), "/etc cannot be read"),
        (("--disk", "DISK", "--lazy-partitions", "root-b"), "'root-b' is not the name of a volume B and a UUID"),
        (("status.yaml", "--disk", "DISK"), "exclude each other"),
        (("status.yaml",), "there is no file status.yaml"),
    ],
)
def test_nothing_is_written_when_something_is_wrong(machine: Rooted, words: tuple[str, ...], says: str) -> None:
    if "--disk" not in words and Path("/dev/sda").exists():
        pytest.skip("this host has a /dev/sda")
    flags = [{"DISK": machine.disk, "HISTORY": HISTORY}.get(word, word) for word in words]
    done = machine.trident("offline-initialize", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (machine.state / "datastore.sqlite").exists()
    assert not (machine.esp / "EFI/AZLA").exists()


def test_an_esp_that_is_not_mounted(machine: Rooted) -> None:
    for path in (machine.esp / "EFI/BOOT").iterdir():
        path.unlink()
    done = machine.trident(
        "offline-initialize", "--disk", machine.disk, "--history-path", "/var/lib/trident/history.json"
    )
    assert (done.returncode, "there are no files in EFI/BOOT" in done.stderr) == (2, True)
    assert not (machine.state / "datastore.sqlite").exists()


def test_a_servicing_that_is_not_at_its_end_stays(machine: Rooted) -> None:
    with Datastore.create(machine.state / "datastore.sqlite") as store:
        store.write(status(State.AB_UPDATE_FINALIZED, config("2"), config("1"), ab_active_volume="volume-a"))
    before = machine.rows()
    done = machine.trident(
        "offline-initialize", "--disk", machine.disk, "--history-path", "/var/lib/trident/history.json"
    )
    assert (done.returncode, "has a status already" in done.stderr) == (2, True)
    assert machine.rows() == before


def test_a_status_that_somebody_wrote(machine: Rooted) -> None:
    text = write_status(status(State.PROVISIONED, config("3"), ab_active_volume="volume-b"))
    (machine.state / "status.yaml").write_text(text)
    done = machine.trident("offline-initialize", "/var/lib/trident/status.yaml")
    assert done.returncode == 0, done.stderr
    [row] = machine.rows()
    assert (row["abActiveVolume"], row["spec"]["internalParams"]) == ("volume-b", {"injectedHostStatus": True})


def test_a_root_that_is_on_no_partition(tmp_path: Path) -> None:
    script = 'mount -t tmpfs none "$1" && exec "$2" -c "$3" "$1"'
    code = (
        "import sys; from pathlib import Path; from twinroot.agent.offline_run import disk_of_root\n"
        "from twinroot.agent.errors import ServicingError\n"
        "try: disk_of_root(Path(sys.argv[1]))\n"
        "except ServicingError as error: print(error.name)"
    )
    (tmp_path / "root").mkdir()
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path / "root"), sys.executable, code]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "prism-chroot-environment\n"
