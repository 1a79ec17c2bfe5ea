"""What a client is told: log lines and ends of commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twinroot.agent.errors import CATEGORIES, ServicingError
from twinroot.agent.remote import trident_v1_pb2 as v1
from twinroot.agent.remote.answers import MAX_TEXT, Ended, completed, log_message, restarts
from twinroot.agent.remote.orders import Order, Restart
from twinroot.agent.remote.report import Report
from twinroot.agent.states import ServicingType

HASH = "ab" * 48
AGENT, CALLER = Order("update", Restart.AGENT, "finalize"), Order("update", Restart.CALLER, "finalize")
STAGING = Order("update", Restart.NEVER, "stage", "")


def line(**changes: Any) -> str:
    record = {"level": "INFO", "message": "m", "target": "t", "module": "n", "file": "/f.py", "line": 7}
    return json.dumps({**record, **changes})


def test_log_lines() -> None:
    place = v1.FileLocation(path="/f.py", line=7)
    expected = v1.Log(level=v1.LOG_LEVEL_INFO, message="m", target="t", module="n", location=place)
    assert log_message(line()) == expected
    levels = [log_message(line(level=word)).level for word in ("ERROR", "WARN", "DEBUG", "TRACE", "LOUD")]
    assert levels == [v1.LOG_LEVEL_ERROR, v1.LOG_LEVEL_WARN, v1.LOG_LEVEL_DEBUG, v1.LOG_LEVEL_TRACE, 0]


@pytest.mark.parametrize("text", ["Traceback (most recent call last):", "", "[1]", "{}", '"m"', "{" * 9999])
def test_lines_that_are_no_log(text: str) -> None:
    assert log_message(text) == v1.Log(level=v1.LOG_LEVEL_ERROR, message=text)


@pytest.mark.parametrize("changes", [{"line": -1}, {"line": 2**32}, {"line": "7"}, {"file": None}])
def test_places_that_are_none(changes: dict[str, Any]) -> None:
    assert not log_message(line(**changes)).HasField("location")


def test_texts_that_no_message_can_hold() -> None:
    assert log_message("a\udcff").message == "a\\udcff"
    assert log_message(line(message="\ud800")).message == "\\ud800"
    assert log_message("x" * (MAX_TEXT + 9)).message == "x" * MAX_TEXT + "…"


@pytest.mark.parametrize(
    ("order", "restart", "status", "ours"),
    [
        (AGENT, False, v1.REBOOT_NOT_REQUIRED, False),
        (AGENT, True, v1.REBOOT_STARTED, True),
        (CALLER, True, v1.REBOOT_REQUIRED, False),
        (STAGING, False, v1.REBOOT_NOT_REQUIRED, False),
    ],
)
def test_restarts(order: Order, restart: bool, status: v1.RebootStatus, ours: bool) -> None:
    ended = Ended(0, Report(restart, ServicingType.AB_UPDATE, HASH))
    assert completed(order, ended) == v1.Completed(
        status=v1.STATUS_CODE_SUCCESS,
        reboot_status=status,
        image_hash=f"sha384:{HASH}",
        servicing_kind=v1.SERVICING_KIND_AB_UPDATE,
    )
    assert restarts(order, ended) is ours


def test_staging_never_wants_a_restart() -> None:
    ended = Ended(0, Report(True))
    done = completed(STAGING, ended)
    assert (done.status, done.error.kind) == (v1.STATUS_CODE_FAILURE, v1.INTERNAL_ERROR)
    assert not restarts(STAGING, ended)


def test_a_failure_may_want_a_restart() -> None:
    """A commit of a system that is not well."""
    error = ServicingError("health-checks-failed", "one failed", hint="look").record()
    ended = Ended(2, Report(True, ServicingType.AB_UPDATE, error=error, hint="look"))
    done = completed(AGENT, ended)
    assert (done.status, done.reboot_status) == (v1.STATUS_CODE_FAILURE, v1.REBOOT_STARTED)
    assert done.error == v1.TridentError(
        kind=v1.HEALTH_CHECKS_ERROR,
        subkind="health-checks-failed",
        message="one failed",
        error_message="one failed\n  hint: look",
    )
    assert restarts(AGENT, ended)


def test_every_error_of_the_agent_has_a_kind() -> None:
    for name in CATEGORIES:
        done = completed(AGENT, Ended(2, Report(error=ServicingError(name, "m").record())))
        assert (done.error.kind != 0, done.error.subkind) == (True, name)
    inner = ServicingError("datastore", "m", inner="open-datastore").record()
    assert completed(AGENT, Ended(2, Report(error=inner))).error.subkind == "datastore/open-datastore"


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        (Ended(2, Report(), "it is full"), "the command ended with exit code 2: it is full"),
        (Ended(-9, None), "the command was killed by signal 9"),
        (Ended(0, None), "the command ended with exit code 0"),
    ],
)
def test_commands_that_do_not_say_why(ended: Ended, says: str) -> None:
    done = completed(AGENT, ended)
    assert (done.status, done.error.kind, done.error.message) == (v1.STATUS_CODE_FAILURE, v1.INTERNAL_ERROR, says)
    assert not restarts(AGENT, ended)
