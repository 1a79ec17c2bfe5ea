"""What `trident-update-poll` decides."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from tests.unit.agent.statuses import HASHES, config, status

from twinroot.agent.poll import MAX_ATTEMPTS, PollAction, Tried, decide, is_chosen, is_open, with_image
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.host.normal import normal, to_yaml
from twinroot.config.load_host import parse_host_config
from twinroot.config.update_poll import Offer, OfferedImage, Window

ONE, TWO, THREE = (HASHES[name] for name in "123")
WAIT, STAGE, FINALIZE = PollAction.WAIT, PollAction.STAGE, PollAction.FINALIZE
NIGHT = Window(start="22:00", end="04:30", days=("sat", "sun"))
MONDAY_NOON = datetime(2026, 11, 23, 12, 0)
SATURDAY_NIGHT = datetime(2026, 11, 28, 23, 0)


URL = "https://images.example/new.cosi"


def offer(sha384: str = TWO, rollout: str = "100%") -> Offer:
    return Offer(image=OfferedImage(url=URL, sha384=sha384), rollout=rollout)


def tried_at(moment: datetime, attempts: int = MAX_ATTEMPTS, *, sha384: str = TWO, url: str = URL) -> Tried:
    tried, image = Tried(), OfferedImage(url=url, sha384=sha384)
    for _ in range(attempts):
        tried = tried.staging(image, moment)
    return tried


@pytest.mark.parametrize(
    ("state", "spec", "rollout", "tried", "window", "action", "says"),
    [
        (State.PROVISIONED, "1", "100%", Tried(), None, STAGE, "does not run"),
        (State.PROVISIONED, "2", "100%", Tried(), None, WAIT, "runs the image"),
        (State.PROVISIONED, "1", "0%", Tried(), None, WAIT, "not the turn"),
        (State.PROVISIONED, "1", "100%", Tried(), NIGHT, STAGE, "does not run"),
        (State.NOT_PROVISIONED, None, "100%", Tried(), None, WAIT, "state not-provisioned"),
        (State.AB_UPDATE_FINALIZED, "2", "100%", Tried(), None, WAIT, "state ab-update-finalized"),
        (State.AB_UPDATE_STAGED, "2", "100%", Tried(TWO, 1), None, FINALIZE, "is staged"),
        (State.RUNTIME_UPDATE_STAGED, "2", "100%", Tried(TWO, 1), None, FINALIZE, "is staged"),
        (State.AB_UPDATE_STAGED, "2", "100%", Tried(), None, FINALIZE, "is staged"),
        (State.AB_UPDATE_STAGED, "2", "100%", Tried(TWO, 1), NIGHT, WAIT, "when the window opens"),
        # The server can stop what is staged and not yet started.
        (State.AB_UPDATE_STAGED, "2", "0%", Tried(TWO, 1), None, WAIT, "not the turn"),
        # A newer offer takes the place of what we staged, not of what somebody else did.
        (State.AB_UPDATE_STAGED, "3", "100%", Tried(THREE, 1), None, STAGE, "does not run"),
        (State.AB_UPDATE_STAGED, "3", "100%", Tried(), None, WAIT, "somebody else"),
        (State.PROVISIONED, "1", "100%", Tried(TWO, 1, TWO), None, WAIT, "went back"),
        (State.PROVISIONED, "1", "100%", Tried(TWO, 1, THREE), None, STAGE, "does not run"),
        (State.PROVISIONED, "1", "100%", tried_at(MONDAY_NOON, MAX_ATTEMPTS - 1), None, STAGE, "does not run"),
        (State.PROVISIONED, "1", "100%", tried_at(MONDAY_NOON), None, WAIT, f"failed {MAX_ATTEMPTS} times"),
        (State.PROVISIONED, "1", "100%", tried_at(MONDAY_NOON, sha384=THREE), None, STAGE, "does not run"),
        # Its server was away, its address was wrong, the clock of the machine was.
        (State.PROVISIONED, "1", "100%", tried_at(MONDAY_NOON - timedelta(days=1)), None, STAGE, "does not run"),
        (State.PROVISIONED, "1", "100%", tried_at(MONDAY_NOON, url="https://x.example/a"), None, STAGE, "does not run"),
        (State.PROVISIONED, "1", "100%", tried_at(MONDAY_NOON + timedelta(hours=1)), None, STAGE, "does not run"),
        (State.PROVISIONED, "1", "100%", Tried(TWO, 5, None, URL, "who knows"), None, STAGE, "does not run"),
        (State.PROVISIONED, "1", "100%", Tried(TWO, 5), None, STAGE, "does not run"),  # of an earlier version
    ],
)  # fmt: skip
def test_decide(
    state: State, spec: str | None, rollout: str, tried: Tried, window: Window | None, action: PollAction, says: str
) -> None:
    current = status(state, config(spec) if spec else HostConfig())
    found = decide(offer(rollout=rollout), current, tried, "an id", window, MONDAY_NOON)
    assert found.action is action
    assert says in found.reason


def test_the_window_opens() -> None:
    current = status(State.AB_UPDATE_STAGED, config("2"))
    assert decide(offer(), current, Tried(), "id", NIGHT, SATURDAY_NIGHT).action is FINALIZE


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-28T21:59", False),  # a Saturday
        ("2026-11-28T22:00", True),
        ("2026-11-29T04:29", True),
        ("2026-11-29T04:30", False),
        ("2026-11-29T23:59", True),
        ("2026-11-30T04:00", True),  # a Monday, in the window that began on Sunday
        ("2026-11-30T23:00", False),
        ("2026-11-28T04:00", False),  # it would have begun on Friday
    ],
)
def test_window_over_midnight(now: str, expected: bool) -> None:
    assert is_open(NIGHT, datetime.fromisoformat(now)) is expected


@pytest.mark.parametrize(("now", "expected"), [("01:59", False), ("02:00", True), ("03:59", True), ("04:00", False)])
def test_window_within_a_day(now: str, expected: bool) -> None:
    window = Window(start="02:00", end="04:00")
    assert is_open(window, datetime.fromisoformat(f"2026-11-25T{now}")) is expected


def test_rollout_grows_and_differs_with_the_image() -> None:
    machines = [f"{number:032x}" for number in range(2000)]

    def chosen(fraction: float, image: str = TWO) -> set[str]:
        return {machine for machine in machines if is_chosen(machine, image, fraction)}

    assert chosen(0) == set()
    assert chosen(1) == set(machines)
    assert 140 < len(chosen(0.1)) < 260
    assert chosen(0.1) < chosen(0.5)
    assert chosen(0.1) != chosen(0.1, THREE)


def test_tried() -> None:
    tried = tried_at(MONDAY_NOON, 2, sha384=ONE)
    assert tried == Tried(ONE, 2, None, URL, "2026-11-23T12:00:00")
    image = OfferedImage(url=URL, sha384=TWO)
    assert tried.finalizing(ONE).staging(image, SATURDAY_NIGHT) == Tried(TWO, 1, ONE, URL, "2026-11-28T23:00:00")


def test_the_configuration_changes_in_its_image_alone() -> None:
    found = with_image(config("1"), offer())
    assert found.image is not None
    assert (found.image.url, found.image.sha384) == ("https://images.example/new.cosi", TWO)
    assert found.model_copy(update={"image": config("1").image}) == config("1")
    assert parse_host_config(to_yaml(normal(found)), "new.yaml").config == found
