"""The datastore on real files, with the peer's table; statuses of older versions; `trident get`."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from tests.unit.agent.statuses import TEXT, config, status

from twinroot.agent.agent_config import datastore_path, read_datastore_path
from twinroot.agent.datastore import Datastore, is_temporary
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import HostStatus, read_status, write_status
from twinroot.agent.report import report
from twinroot.agent.states import State
from twinroot.cli import trident
from twinroot.config.load_host import parse_host_config
from twinroot.errors import ConfigError

# As the peer makes it; the misspelling is its own.
PEER_TABLE = (
    "CREATE TABLE IF NOT EXISTS hoststatus (id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "timestamp DATETIME DEFALUT CURRENT_TIMESTAMP, contents TEXT NOT NULL)"
)
STAGED = status(State.AB_UPDATE_STAGED, config("2"), config("1"), ab_active_volume="volume-a")
DONE = status(
    State.PROVISIONED,
    config("1", "os: {hostname: a, users: [{name: b}]}"),
    ab_active_volume="volume-b",
    partition_paths={"root-a": "/dev/disk/by-partuuid/1", "esp": "/dev/disk/by-partuuid/2"},
    disk_uuids={"disk": "6d1f"},
    last_error={"message": "no", "error": {"datastore": {"inner": "a"}}, "category": "servicing", "cause": None},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep/state dir?/datastore.sqlite"


def test_statuses_come_back_newest_first(path: Path) -> None:
    with Datastore.create(path) as store:
        assert store.status() is None
        for each in (STAGED, DONE, DONE):
            store.write(each)
    with Datastore.open(path) as store:
        assert store.status() == DONE
        assert list(store.history()) == [DONE, STAGED]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("begin", [Datastore.open, Datastore.create])
def test_what_a_power_cut_left_half_written_is_taken_back(
    path: Path, begin: Callable[[Path], Datastore], tmp_path: Path
) -> None:
    with Datastore.create(path) as store:
        store.write(DONE)
    cut = tmp_path / "cut.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA cache_size=2")  # so little that the file is written to before the end
        connection.executemany("INSERT INTO hoststatus (contents) VALUES (?)", [("x" * 5000,)] * 50)
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{path}{suffix}", f"{cut}{suffix}")
        connection.rollback()
    with begin(cut) as store:
        assert list(store.history()) == [DONE]


def test_what_was_opened_for_reading_is_not_written(path: Path) -> None:
    with Datastore.create(path) as store:
        store.write(DONE)
    with Datastore.open(path) as store, pytest.raises(ServicingError, match="readonly"):
        store.write(STAGED)


def test_each_row_has_the_version_of_its_writer(path: Path) -> None:
    with Datastore.create(path) as store:
        store.write(DONE.model_copy(update={"trident_version": "0.30.1"}))
        assert store.status() == DONE
        store.write(DONE.model_copy(update={"trident_version": None}))
        assert len(list(store.history())) == 1


def test_the_table_is_the_peers(path: Path) -> None:
    Datastore.create(path).close()
    ours = sqlite3.connect(path)
    theirs = sqlite3.connect(":memory:")
    theirs.execute(PEER_TABLE)
    columns = [each.execute("PRAGMA table_info(hoststatus)").fetchall() for each in (ours, theirs)]
    ours.close()
    theirs.close()
    assert columns[0] == columns[1]


def test_a_datastore_of_the_peer_is_continued(path: Path) -> None:
    path.parent.mkdir(parents=True)
    peer = sqlite3.connect(path)
    peer.execute(PEER_TABLE)
    peer.execute("INSERT INTO hoststatus (contents) VALUES (?)", (write_status(STAGED),))
    peer.commit()
    with Datastore.create(path) as store:
        assert store.status() == STAGED
        store.write(DONE)
    rows = peer.execute("SELECT id, timestamp, contents FROM hoststatus ORDER BY id").fetchall()
    peer.close()
    assert [(number, stamp is None) for number, stamp, _ in rows] == [(1, True), (2, False)]
    assert yaml.safe_load(rows[1][2])["servicingState"] == "provisioned"


@pytest.mark.parametrize(
    ("content", "error", "inner"),
    [
        (None, "host-not-provisioned", None),
        (b"no database, but long enough to look at" * 50, "datastore", "load-datastore"),
        (b"", "datastore", "load-datastore"),
    ],
)
def test_what_is_no_datastore(path: Path, content: bytes | None, error: str, inner: str | None) -> None:
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ServicingError) as found:
        Datastore.open(path)
    assert (found.value.name, found.value.inner) == (error, inner)
    assert content is not None or not path.exists()


def test_a_closed_datastore_is_not_written(path: Path) -> None:
    store = Datastore.create(path)
    store.close()
    with pytest.raises(ServicingError) as found:
        store.write(DONE)
    assert found.value.record()["error"] == {"datastore": {"inner": "write-to-closed-datastore"}}


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServicingError) as found:
        Datastore.create(tmp_path / "file/datastore.sqlite")
    assert found.value.inner == "create-datastore-directory"


@pytest.mark.parametrize(
    ("found", "expected"),
    [(None, True), (DONE, False), (DONE.model_copy(update={"is_management_os": True}), True)],
)
def test_temporary_datastores(found: HostStatus | None, expected: bool) -> None:
    assert is_temporary(found) is expected


@pytest.mark.parametrize("found", [STAGED, DONE, HostStatus()])
def test_a_status_is_read_as_it_was_written(found: HostStatus) -> None:
    assert read_status(write_status(found), "a") == found


def test_what_a_status_holds() -> None:
    written = yaml.safe_load(write_status(DONE))
    assert list(written) == [
        "spec", "servicingState", "lastError", "partitionPaths", "abActiveVolume", "diskUuids", "installIndex",
        "tridentVersion",
    ]  # fmt: skip
    assert yaml.safe_load(write_status(STAGED))["specOld"]["image"]["sha384"] == "1" * 96


SPEC = TEXT % ("1" * 96)
OLD_TEXTS: list[tuple[str, str, str]] = [
    # what to replace in the configuration of a status, by what older versions had, and what it must come to
    ("image:", "osImage:", "image: {url: 'https://images.example/os.cosi', sha384: ignored}"),
    ("image:", "os: {network: {version: 2}}\nimage:", "os: {netplan: {version: 2}}"),
    ("image:", "trident: {selfUpgrade: true, phonehome: 'http://a'}\nimage:", "trident: {phonehome: 'http://a'}"),
    ("{deviceId: root, ", "{deviceId: root, source: {type: image, url: a}, type: {a: b}, ", ""),
]


@pytest.mark.parametrize(("now", "then", "expected"), OLD_TEXTS)
def test_statuses_of_older_versions(now: str, then: str, expected: str) -> None:
    text = yaml.safe_dump(
        {"spec": yaml.safe_load(SPEC.replace(now, then, 1)), "servicingState": "provisioned", "more": 1}
    )
    wanted = yaml.safe_load(SPEC) | (yaml.safe_load(expected) or {})
    assert read_status(text, "a").spec == read_status(yaml.safe_dump({"spec": wanted}), "b").spec


def test_verity_of_older_versions() -> None:
    old = {"name": "usr", "dataDeviceId": "a", "hashDeviceId": "b", "mountPoint": {"path": "/usr", "options": "ro"}}
    spec = read_status(yaml.safe_dump({"spec": {"storage": {"verityFilesystems": [old]}}}), "a").spec
    assert [(each.id, each.name, each.data_device_id) for each in spec.storage.verity] == [("verity0", "usr", "a")]
    assert [each.device_id for each in spec.storage.filesystems] == ["verity0"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spec: [", "the status is not YAML"),
        ("spec: {ostrich: 1}", "spec.ostrich"),
        ("servicingState: asleep", "servicingState"),
        ("spec: {storage: {filesystems: [{deviceId: a, source: {type: create}}]}}", "too old"),
        ("[]", "the status cannot be read"),
    ],
)
def test_what_is_no_status(text: str, says: str) -> None:
    with pytest.raises(ServicingError, match=says) as found:
        read_status(text, "a")
    assert found.value.category == "initialization"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "/var/lib/trident/datastore.sqlite"),
        ("DatastorePath=/a/b.sqlite\n", "/a/b.sqlite"),
        ("Other=1\n# DatastorePath=/c\nDatastorePath = /a\nDatastorePath=/b\n", "/b"),
    ],
)
def test_where_the_datastore_is(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "trident.conf").write_text(text)
    assert read_datastore_path(tmp_path / "trident.conf") == Path(expected)


def test_the_agents_configuration() -> None:
    assert read_datastore_path(Path("/nonexistent")) == Path("/var/lib/trident/datastore.sqlite")
    with pytest.raises(ServicingError, match="absolute"):
        datastore_path("DatastorePath=a.sqlite")


def test_reports() -> None:
    rows = [DONE, STAGED]
    assert report("status", DONE, rows)["servicingState"] == "provisioned"
    assert report("configuration", DONE, rows)["os"]["hostname"] == "a"
    assert report("last-error", DONE, rows)["message"] == "no"
    assert report("last-error", STAGED, rows) is None
    assert report("rollback-chain", DONE, rows) == []
    assert report("rollback-target", DONE, rows) == {}
    assert report("status", None, []) == {"spec": {}, "servicingState": "not-provisioned", "installIndex": 0}


def test_every_kind_of_get() -> None:
    after_update = status(State.PROVISIONED, config("2"), ab_active_volume="volume-b")
    finalized = status(State.AB_UPDATE_FINALIZED, config("2"), config("1"), ab_active_volume="volume-a")
    found = {kind: report(kind, after_update, [after_update, finalized]) for kind in trident.KINDS}
    assert found["status"]["abActiveVolume"] == "volume-b"
    assert found["configuration"]["image"]["sha384"] == "2" * 96
    assert found["last-error"] is None
    assert [each["kind"] for each in found["rollback-chain"]] == ["ab"]
    assert found["rollback-target"]["image"]["sha384"] == "1" * 96


@pytest.mark.parametrize("content", [b"text\n" * 1000, b""])
def test_a_damaged_file_has_a_way_out(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "datastore.sqlite"
    path.write_bytes(content)
    with pytest.raises(ServicingError) as caught:
        Datastore.open(path)
    assert caught.value.hint is not None
    assert f"put {path} aside" in caught.value.hint and "trident offline-initialize" in caught.value.hint


ODD = """\
spec:
  image: {url: 'http://a/b c.cosi', sha384: ignored}
  storage:
    filesystems:
    - {deviceId: root, mountPoint: {path: /, options: 'a, b'}}
    raid: {software: [{id: m, name: a/b, level: raid1, devices: [a, b]}]}
  os:
    hostname: a b
    additionalFiles: [{destination: etc/x, content: y}]
    users: [{name: 'a b', sshPublicKeys: ['']}]
    modules: [{name: nbd, options: {'a b': 'c d'}}]
    kernelCommandLine: {extraCommandLine: ['a=$b', '']}
  health: {checks: [{name: a, systemdServices: [b], timeoutSeconds: 4294967296}]}
servicingState: provisioned
"""


def test_what_the_peer_accepts_and_we_refuse_is_kept_as_it_is() -> None:
    found = read_status(ODD, "a")
    spec = found.spec
    assert spec.image and spec.image.url == "http://a/b c.cosi"
    assert spec.storage.filesystems[0].mount_point and spec.storage.filesystems[0].mount_point.options == "a, b"
    assert (spec.os.hostname, spec.os.additional_files[0].destination) == ("a b", "etc/x")
    assert spec.os.modules[0].options == {"a b": "c d"}
    assert spec.os.kernel_command_line.extra_command_line == ("a=$b", "")
    assert read_status(write_status(found), "b") == found
    with pytest.raises(ConfigError) as caught:
        parse_host_config(yaml.safe_dump(yaml.safe_load(ODD)["spec"]), "c")
    assert len(caught.value.problems) > 8
