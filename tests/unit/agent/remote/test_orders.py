"""Which command a request asks for, and what a command says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.agent.remote import orders
from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.remote.durations import seconds
from twinroot.agent.remote.orders import Order, Restart, child_environment, command_line, entry_point
from twinroot.agent.remote.report import Report, known_hash, read_report, servicing_kind
from twinroot.agent.states import ServicingType, State, Trigger
from twinroot.errors import InputError

STAGE = v1.StageUpdateRequest(config=v1.HostConfiguration(config="os: {}\n"))


def reboot(handling: v1.RebootHandling) -> v1.RebootManagement:
    return v1.RebootManagement(handling=handling)


def test_requests() -> None:
    assert orders.of_update(v1.UpdateRequest(stage=STAGE)) == Order(
        "update", Restart.AGENT, "stage,finalize", "os: {}\n"
    )
    caller = v1.FinalizeUpdateRequest(reboot=reboot(v1.CALLER_HANDLES_REBOOT))
    assert orders.of_update(v1.UpdateRequest(stage=STAGE, finalize=caller)).restart is Restart.CALLER
    assert orders.of_stage(STAGE) == Order("update", Restart.NEVER, "stage", "os: {}\n")
    assert orders.of_finalize(caller) == Order("update", Restart.CALLER, "finalize")
    assert orders.of_commit(v1.CommitRequest()) == Order("commit", Restart.AGENT)
    ours = v1.CommitRequest(reboot=reboot(v1.TRIDENT_HANDLES_REBOOT))
    assert orders.of_commit(ours) == Order("commit", Restart.AGENT)
    stream = v1.StreamDiskRequest(image_url="oci://a/b", reboot=reboot(v1.CALLER_HANDLES_REBOOT))
    assert orders.of_stream(stream) == Order("stream-disk", Restart.CALLER, image="oci://a/b", image_hash="ignored")


def test_requests_that_are_refused() -> None:
    with pytest.raises(InputError, match="has no configuration"):
        orders.of_update(v1.UpdateRequest())
    with pytest.raises(InputError, match="has no configuration"):
        orders.of_stage(v1.StageUpdateRequest())
    for url in ("", "http://a\nhttp://b"):
        with pytest.raises(InputError, match="has no URL of an image"):
            orders.of_stream(v1.StreamDiskRequest(image_url=url))
    unknown = v1.CommitRequest.FromString(bytes.fromhex("0a020807"))
    with pytest.raises(InputError, match="7 is no way to handle a restart"):
        orders.of_commit(unknown)


def test_command_lines() -> None:
    folder = Path("/f")
    report = ["--on-behalf", "/f/report.json"]
    update = ["update", "/f/config.yaml", "--allowed-operations", "stage"]
    assert command_line(orders.of_stage(STAGE), folder) == ["-v", "trace", *update, *report]
    assert command_line(orders.of_commit(v1.CommitRequest()), folder) == ["-v", "trace", "commit", *report]
    stream = orders.of_stream(v1.StreamDiskRequest(image_url="http://a:secret@b/", image_hash="sha384:0"))
    assert command_line(stream, folder) == ["-v", "trace", "stream-disk", "-", "--hash=sha384:0", *report]


@pytest.mark.parametrize(
    ("original", "arguments", "found"),
    [
        (["py", "-IBS", "/usr/bin/trident", "daemon"], ["/usr/bin/trident", "daemon"], ["-IBS", "/usr/bin/trident"]),
        (["py", "-m", "a.trident", "-v", "off", "daemon"], ["/a/t.py", "-v", "off", "daemon"], ["-m", "a.trident"]),
        (["python", "trident"], ["trident"], ["trident"]),
    ],
)  # fmt: skip
def test_entry_points(original: list[str], arguments: list[str], found: list[str]) -> None:
    assert entry_point("/bin/python3", original, arguments) == ["/bin/python3", *found]


def test_what_systemd_told_the_service_alone_is_not_passed_on() -> None:
    found = child_environment({"HTTPS_PROXY": "p", "LISTEN_FDS": "1", "LISTEN_PID": "7", "NOTIFY_SOCKET": "/run/n"})
    assert found == {"HTTPS_PROXY": "p"}


@pytest.mark.parametrize(
    ("began", "moves", "kind"),
    [
        (State.PROVISIONED, [], ServicingType.NONE),
        (State.AB_UPDATE_STAGED, [], ServicingType.NONE),
        (
            State.PROVISIONED,
            [(Trigger.RUNTIME_UPDATE_STAGED, State.RUNTIME_UPDATE_STAGED), (Trigger.FINALIZED, State.PROVISIONED)],
            ServicingType.RUNTIME_UPDATE,
        ),
        (State.AB_UPDATE_STAGED, [(Trigger.FINALIZED, State.AB_UPDATE_FINALIZED)], ServicingType.AB_UPDATE),
        (State.AB_UPDATE_FINALIZED, [(Trigger.COMMITTED, State.PROVISIONED)], ServicingType.AB_UPDATE),
        (State.CLEAN_INSTALL_FINALIZED, [(Trigger.COMMITTED, State.PROVISIONED)], ServicingType.CLEAN_INSTALL),
        (State.AB_UPDATE_STAGED, [(Trigger.RESET, State.PROVISIONED)], ServicingType.NONE),
        (
            State.AB_UPDATE_STAGED,
            [(Trigger.RESET, State.PROVISIONED), (Trigger.RUNTIME_UPDATE_STAGED, State.RUNTIME_UPDATE_STAGED)],
            ServicingType.RUNTIME_UPDATE,
        ),
        (
            State.PROVISIONED,
            [(Trigger.ROLLBACK_AB_STAGED, State.MANUAL_ROLLBACK_AB_STAGED)],
            ServicingType.MANUAL_ROLLBACK_AB,
        ),
    ],
)
def test_kinds(began: State, moves: list[tuple[Trigger, State]], kind: ServicingType) -> None:
    assert servicing_kind(began, moves) is kind


def test_reports_are_read_as_they_were_written() -> None:
    full = Report(True, ServicingType.AB_UPDATE, "ab" * 48, {"message": "m", "error": "internal"}, "h")
    assert [read_report(report.text()) for report in (full, Report())] == [full, Report()]
    for text in ("", "{", "[]", "{}", '{"kind": "ab-update", "more": 1}', '{"kind": "other"}'):
        assert read_report(text) is None


def test_hashes() -> None:
    assert known_hash("ab" * 48) == "ab" * 48
    assert [known_hash(found) for found in ("ignored", None, "", "AB" * 48)] == [None] * 4


@pytest.mark.parametrize(
    ("text", "found"),
    [("300s", 300), ("5m", 300), ("1h", 3600), ("1h 30min", 5400), ("1h30m", 5400), ("2 days", 172800), ("500ms", 0.5)],
)
def test_durations(text: str, found: float) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "5", "s", "5x", "-5s", "5s 3", "0s", "5s;", "1e3s", "9999999999s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InputError):
        seconds(text)
