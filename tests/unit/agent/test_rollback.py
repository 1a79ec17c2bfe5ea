"""What a machine can go back to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from tests.unit.agent.statuses import config, status

from twinroot.agent.errors import STAGING_BEGAN, ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.rollback import chosen, rollback_chain
from twinroot.agent.states import State

S = State
AB_STEPS = (S.AB_UPDATE_STAGED, S.AB_UPDATE_FINALIZED)
ROLLBACK_STEPS = (S.MANUAL_ROLLBACK_AB_STAGED, S.MANUAL_ROLLBACK_AB_FINALIZED)
C = {name: config(name) for name in "0123456789"}


def history(notes: str) -> list[HostStatus]:
    """Statuses, newest first, from notes in the order of time: what was done, and the number of the configuration.

    `i1` install, `r2` runtime update, `a2` A/B update, `R1` and `A1` rollbacks to, `x2` and `y2` updates that failed
    and were undone, `z2` a runtime update of which the error is known as well, `s2` an A/B update that was staged and
    given up, `w1` a rollback of the running system that failed and was undone.
    """
    found: list[HostStatus] = []
    now, volume = "0", None
    for note in notes.split():
        what, number = note[0], note[1]
        old, new = C[now], C[number]
        if what == "i":
            found.append(status(S.CLEAN_INSTALL_FINALIZED, new))
            volume, now = "volume-a", number
        elif what in "rR":
            staged = S.RUNTIME_UPDATE_STAGED if what == "r" else S.MANUAL_ROLLBACK_RUNTIME_STAGED
            found.append(status(staged, new, old, ab_active_volume=volume))
            now = number
        elif what in "aA":
            steps = AB_STEPS if what == "a" else ROLLBACK_STEPS
            found += [status(step, new, old, ab_active_volume=volume) for step in steps]
            volume = "volume-b" if volume == "volume-a" else "volume-a"
            now = number
        elif what == "w":
            found.append(status(S.MANUAL_ROLLBACK_RUNTIME_STAGED, new, old, ab_active_volume=volume))
        elif what in "xz":
            found.append(status(S.RUNTIME_UPDATE_STAGED, new, old, ab_active_volume=volume))
        elif what == "y":
            found.append(status(S.AB_UPDATE_HEALTH_CHECK_FAILED, new, old, ab_active_volume=volume, last_error="a"))
        else:
            found.append(status(S.AB_UPDATE_STAGED, new, old, ab_active_volume=volume))
        error = "a" if what in "yzw" else None
        found.append(status(S.PROVISIONED, C[now], ab_active_volume=volume, last_error=error))
    return found[::-1]


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ("", []),
        ("i1", []),
        ("i1 r2", [("runtime", "1", "volume-a")]),
        ("i1 r2 r3", [("runtime", "2", "volume-a"), ("runtime", "1", "volume-a")]),
        ("i1 a2", [("ab", "1", "volume-a")]),
        ("i1 r2 a3 r4", [("runtime", "3", "volume-b"), ("ab", "2", "volume-a"), ("runtime", "1", "volume-a")]),
        ("i1 a2 a3", [("ab", "2", "volume-b")]),
        ("i1 r2 R1", []),
        ("i1 r2 r3 R2", [("runtime", "1", "volume-a")]),
        ("i1 r2 r3 R2 R1", []),
        ("i1 r2 r3 R2 r4", [("runtime", "2", "volume-a"), ("runtime", "1", "volume-a")]),
        ("i1 a2 A1", []),
        ("i1 r2 a3 A2 r4", [("runtime", "2", "volume-a")]),
        ("i1 r2 y3", []),
        ("i1 r2 y3 r4", [("runtime", "2", "volume-a")]),
        ("i1 r2 x3 r4", [("runtime", "2", "volume-a"), ("runtime", "1", "volume-a")]),
        ("i1 a2 x3", [("ab", "1", "volume-a")]),
        ("i1 a2 z3", [("ab", "1", "volume-a")]),
        ("i1 r2 z3 r4", [("runtime", "2", "volume-a"), ("runtime", "1", "volume-a")]),
        ("i1 r2 w1", [("runtime", "1", "volume-a")]),
        ("i1 r2 r3 w2", [("runtime", "2", "volume-a"), ("runtime", "1", "volume-a")]),
        ("i1 r2 s3 r4", [("runtime", "2", "volume-a"), ("runtime", "1", "volume-a")]),
    ],
)
def test_the_chain(notes: str, expected: list[tuple[str, str, str]]) -> None:
    by_config = {id(value): key for key, value in C.items()}
    found = rollback_chain(history(notes))
    assert [(item.kind, by_config[id(item.spec)], item.ab_active_volume) for item in found] == expected


@pytest.mark.parametrize(
    ("notes", "kind", "expected"),
    [
        ("i1", None, None),
        ("i1", "ab", None),
        ("i1", "runtime", None),
        ("i1 r2", None, ("runtime", "1")),
        ("i1 r2", "runtime", ("runtime", "1")),
        ("i1 r2", "ab", None),
        ("i1 a2 r3", None, ("runtime", "2")),
        ("i1 a2 r3", "ab", ("ab", "1")),
        ("i1 r2 a3", None, ("ab", "2")),
    ],
)
def test_what_is_chosen(notes: str, kind: Literal["ab", "runtime"] | None, expected: tuple[str, str] | None) -> None:
    found = chosen(rollback_chain(history(notes)), kind)
    assert (found and (found.kind, found.spec)) == (expected and (expected[0], C[expected[1]]))


def test_what_cannot_be_chosen() -> None:
    with pytest.raises(ServicingError, match="A/B update") as found:
        chosen(rollback_chain(history("i1 r2 a3")), "runtime")
    assert found.value.name == "invalid-rollback-expectation"


@pytest.mark.parametrize(
    ("version", "length"), [("0.22.0", 2), ("0.21.0-rc1+b", 2), ("0.20.9", 1), ("1.0.0", 2), ("unknown", 1), (None, 1)]
)
def test_old_agents_end_the_chain(version: str | None, length: int) -> None:
    statuses = history("i1 r2 r3")
    statuses[3:] = [each.model_copy(update={"trident_version": version}) for each in statuses[3:]]
    assert len(rollback_chain(statuses)) == length


def test_what_cannot_be_read_ends_the_chain() -> None:
    def rows() -> Iterator[HostStatus]:
        yield from history("i1 r2 r3")[:3]
        raise ServicingError("parse-host-status", "broken")

    assert [item.kind for item in rollback_chain(rows())] == ["runtime"]


def test_as_it_is_printed() -> None:
    found = rollback_chain(history("i1 a2"))[0].plain()
    assert list(found) == ["kind", "spec", "abActiveVolume", "installIndex"]
    assert (found["kind"], found["abActiveVolume"], found["installIndex"]) == ("ab", "volume-a", 0)
    assert found["spec"]["image"]["sha384"] == "1" * 96


def test_a_half_that_may_be_half_written_is_nothing_to_go_back_to() -> None:
    """Power failed while an update was written: what follows may have cleared the error since."""
    began = {"error": STAGING_BEGAN, "message": "", "category": "servicing"}
    statuses = history("i1 a2")
    interrupted = statuses[0].model_copy(update={"last_error": began})
    assert [item.kind for item in rollback_chain(statuses)] == ["ab"]
    assert rollback_chain([statuses[0], interrupted, *statuses]) == []
