"""What a machine is that was made from an image: history and partition table in, status out."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
import yaml
from tests.images import REPOSITORY

from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus, plain_status, read_status
from twinroot.agent.offline import esp_mount_point, parse_history, parse_lazy, status_of, with_injection
from twinroot.agent.states import State
from twinroot.formats.gpt import Partition, Table
from twinroot.units import MIB

DISK_UUID = UUID(int=1)
LAZY = "0d0c0b0a-0000-4000-8000-00000000000b"


def table(count: int) -> Table:
    """A disk whose partitions of 1 MiB each have the numbers 1, 2, … and the UUIDs 101, 102, …"""
    partitions = [
        Partition(number, UUID(int=5), UUID(int=100 + number), number * 2048, number * 2048 + 2047)
        for number in range(1, count + 1)
    ]
    return Table(DISK_UUID, 1024 * MIB, tuple(reversed(partitions)))


def entry(partitions: list[Any], filesystems: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A run in a history; a partition for the datastore comes first."""
    disks = [{"partitionTableType": "gpt", "partitions": [{"id": "state", "size": "64M"}, *partitions]}]
    mounted = [{"deviceId": "state", "mountPoint": "/var/lib/trident"}, *(filesystems or [])]
    return {"timestamp": "now", "config": {"storage": {"disks": disks, "filesystems": mounted, **more}}}


ESP = {"id": "esp", "type": "esp", "size": "8M"}
ROOT_A = {"id": "root-a", "size": "2G"}
ROOT_B = {"id": "root-b", "size": "2G"}
ON_ESP = {"deviceId": "esp", "type": "fat32", "mountPoint": {"path": "/boot/efi", "options": "umask=0077"}}
ON_ROOT = {"deviceId": "root-a", "type": "ext4", "mountPoint": {"path": "/"}}


def status(*entries: object, count: int = 4, lazy: str | None = None) -> HostStatus:
    history = parse_history(json.dumps(entries))
    return status_of(history, table(count), "/dev/vda", parse_lazy(lazy) if lazy else {})


def storage(*entries: object, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = plain_status(status(*entries, **options))["spec"]["storage"]
    return found


def test_the_image_of_the_tutorial() -> None:
    text = (REPOSITORY / "examples/ab-image.yaml").read_text()
    config = yaml.load(text, yaml.BaseLoader)
    found = status({"config": config}, count=4)
    assert found.servicing_state is State.PROVISIONED
    assert (found.ab_active_volume, found.install_index, found.is_management_os) == ("volume-a", 0, False)
    assert found.disk_uuids == {"disk0": str(DISK_UUID)}
    assert found.partition_paths == {
        name: f"/dev/disk/by-partuuid/{UUID(int=number)}"
        for name, number in {"esp": 101, "root-a": 102, "root-b": 103, "trident": 104}.items()
    }
    written = plain_status(found)["spec"]["storage"]
    disk = written["disks"][0]
    assert (disk["id"], disk["device"]) == ("disk0", "/dev/vda")
    assert [(each["id"], each["type"], each["size"]) for each in disk["partitions"]] == [
        ("esp", "esp", "8M"),
        ("root-a", "linux-generic", "4G"),
        ("root-b", "linux-generic", "4G"),
        ("trident", "linux-generic", "100M"),
    ]
    assert written["abUpdate"] == {"volumePairs": [{"id": "root", "volumeAId": "root-a", "volumeBId": "root-b"}]}
    assert written["filesystems"] == [
        {"deviceId": "esp", "mountPoint": {"path": "/boot/efi", "options": "umask=0077"}},
        {"deviceId": "root", "mountPoint": {"path": "/", "options": "defaults"}},
        {"deviceId": "trident", "mountPoint": {"path": "/var/lib/trident", "options": "defaults"}},
    ]
    assert esp_mount_point(found.spec) == "/boot/efi"


def test_the_last_entry_with_disks_counts() -> None:
    old = entry([{"id": "whole"}])
    found = storage(old, entry([ESP, ROOT_A, ROOT_B], [ON_ESP, ON_ROOT]), {"config": {"os": {"hostname": "a"}}}, {})
    assert [each["id"] for each in found["disks"][0]["partitions"]] == ["state", "esp", "root-a", "root-b"]


@pytest.mark.parametrize(
    ("last", "size"),
    [
        ({"id": "data"}, "grow"),
        ({"id": "data", "size": "grow"}, "grow"),
        ({"id": "data", "size": "64M", "start": "9M"}, "64M"),
        ({"id": "data", "start": "9M", "end": "10M"}, "1M"),
    ],
)
def test_sizes(last: dict[str, str], size: str) -> None:
    found = storage(entry([ESP, ROOT_A, ROOT_B, last], [ON_ESP, ON_ROOT]), count=5)
    assert found["disks"][0]["partitions"][4]["size"] == size


def test_an_esp_that_is_mounted_elsewhere() -> None:
    found = status(entry([ESP, ROOT_A, ROOT_B], [{"deviceId": "esp", "mountPoint": "/efi"}, ON_ROOT]))
    assert esp_mount_point(found.spec) == "/efi"


def test_file_systems_without_mount_point_make_no_pair() -> None:
    partitions = [ESP, ROOT_A, ROOT_B, {"id": "spare-a", "size": "1M"}]
    found = storage(entry(partitions, [ON_ESP, ON_ROOT, {"deviceId": "spare-a", "type": "ext4"}]), count=5)
    assert [each["deviceId"] for each in found["filesystems"]] == ["state", "esp", "root"]
    assert [each["id"] for each in found["abUpdate"]["volumePairs"]] == ["root"]


def test_pairs_of_data_and_hashes() -> None:
    partitions = [ESP, ROOT_A, {"id": "hash-a", "size": "64M"}, ROOT_B, {"id": "hash-b", "size": "64M"}]
    partitions.append({"id": "boot-a", "size": "64M"})
    partitions += [{"id": name, "size": "64M"} for name in ("boot-b", "over-a", "over-b", "var")]
    verity = [{"id": "verity", "name": "root", "dataDeviceId": "root-a", "hashDeviceId": "hash-a"}]
    mounted = [
        ON_ESP,
        {"deviceId": "verity", "mountPoint": {"path": "/", "options": "ro"}},
        {"deviceId": "boot-a", "mountPoint": "/boot"},
        {"deviceId": "over-a", "mountPoint": "/var/lib/trident-overlay"},
        {"deviceId": "var", "mountPoint": "/var"},
    ]
    found = storage(entry(partitions, mounted, verity=verity), count=11)
    assert found["verity"] == [
        {
            "id": "verity",
            "name": "root",
            "dataDeviceId": "root",
            "hashDeviceId": "hash",
            "corruptionOption": "io-error",
        }
    ]
    assert [each["id"] for each in found["abUpdate"]["volumePairs"]] == ["root", "hash", "boot", "over"]


def test_volumes_that_are_made_later() -> None:
    found = status(entry([ESP, ROOT_A], [ON_ESP, ON_ROOT]), count=3, lazy=f"root-b:{LAZY.upper()}")
    assert found.partition_paths["root-b"] == f"/dev/disk/by-partuuid/{LAZY}"
    last = found.spec.storage.disks[0].partitions[-1]
    assert (last.id, last.type, last.size, last.uuid) == ("root-b", "linux-generic", 2048 * MIB, LAZY)


@pytest.mark.parametrize(
    "lazy",
    ["", "root-b", "root-b:", "root-b:1234", f"root-a:{LAZY}", f"other-b:{LAZY}", f"root-b:{LAZY},", f"root:{LAZY}",
     f"root-b:{LAZY},root-b:{LAZY}"],
)  # fmt: skip
def test_wrong_lazy_partitions(lazy: str) -> None:
    with pytest.raises(ServicingError) as caught:
        status_of(
            parse_history(json.dumps([entry([ESP, ROOT_A], [ON_ESP, ON_ROOT])])),
            table(3),
            "/dev/vda",
            parse_lazy(lazy),
        )
    assert caught.value.name == "invalid-lazy-partition"


def test_a_lazy_partition_that_is_there() -> None:
    with pytest.raises(ServicingError, match="'root-b' is there already"):
        status(entry([ESP, ROOT_A, ROOT_B], [ON_ESP, ON_ROOT]), lazy=f"root-b:{LAZY}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be used"),
        ("[", "cannot be used"),
        ("{}", "a list is missing"),
        ("[3]", "an object is missing"),
        ('[{"config": 3}]', "an object is missing"),
        ('[{"config": {"storage": {"disks": [[]]}}}]', "an object is missing"),
        ('[{"config": {"storage": {"disks": "x"}}}]', "a list is missing"),
        ("[]", "no entry has disks"),
        ('[{"config": {"storage": {"disks": []}}}]', "no entry has disks"),
        ("[" * 100000, "cannot be used"),
    ],
)
def test_no_history(text: str, says: str) -> None:
    with pytest.raises(ServicingError, match=says) as caught:
        parse_history(text)
    assert caught.value.name == "parse-prism-history"


@pytest.mark.parametrize(
    ("run", "count", "name", "says"),
    [
        (entry([ESP, ROOT_A, ROOT_B], [ON_ESP, ON_ROOT]), 3, "parse-prism-history", "4 partitions, the disk 3"),
        (entry([ESP, ROOT_A], [ON_ESP, ON_ROOT]), 3, "parse-prism-history", "'root-a' has no 'root-b'"),
        (entry([{"size": "8M"}]), 3, "parse-prism-history", "has no 'id'"),
        (entry([ESP], [{"deviceId": "esp", "mountPoint": {}}, {"mountPoint": "/"}]), 3, "parse-prism-history",
         "has no 'deviceId'"),
        (entry([ESP, ROOT_A, ROOT_B], [ON_ESP, {"deviceId": "x", "mountPoint": "/"}]), 4,
         "invalid-host-configuration-static", "'x'"),
        (entry([ESP, {"id": "root-a", "size": "much"}, ROOT_B], [ON_ESP, ON_ROOT]), 4,
         "invalid-host-configuration-static", "much"),
        (entry([ESP, ROOT_A, ROOT_B], [ON_ESP, ON_ROOT],
               verity=[{"id": "v", "name": "root", "dataDeviceId": "root-a", "hashDeviceId": "hash"}]), 4,
         "parse-prism-history", "only one is a volume A"),
        (entry([ESP, ROOT_A, ROOT_B], [ON_ESP, {"deviceId": ["root-a"], "mountPoint": "/"}]), 4,
         "parse-prism-history", "is no text"),
        (entry([ESP, ROOT_A, ROOT_B], [ON_ESP, {"deviceId": "root-a", "mountPoint": 3}]), 4,
         "invalid-host-configuration-static", "path"),
    ],
)  # fmt: skip
def test_histories_that_do_not_fit(run: dict[str, Any], count: int, name: str, says: str) -> None:
    with pytest.raises(ServicingError, match=says) as caught:
        status(run, count=count)
    assert caught.value.name == name


def test_a_datastore_elsewhere_is_part_of_the_configuration() -> None:
    history = parse_history(json.dumps([entry([ESP, ROOT_A, ROOT_B], [ON_ESP, ON_ROOT])]))
    place = "/var/lib/trident/other.sqlite"
    found = status_of(history, table(4), "/dev/vda", {}, place)
    assert found.spec.trident.datastore_path == place


def test_a_status_that_somebody_wrote_is_marked() -> None:
    found = with_injection(read_status("servicingState: provisioned\nspec: {internalParams: {uki: true}}\n", "a.yaml"))
    assert found.spec.internal_params == {"uki": True, "injectedHostStatus": True}
