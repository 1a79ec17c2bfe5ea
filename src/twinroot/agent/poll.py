"""What `trident-update-poll` does next, from what is offered, the status of the machine and the time. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from twinroot.agent.host_status import HostStatus
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.host.os_image import OsImage
from twinroot.config.update_poll import DAYS, Offer, OfferedImage, Window

MAX_ATTEMPTS = 5
"""Times in a row that an image is tried to be staged; after that it is once a day: its server may have been away."""
_PAUSE = timedelta(days=1)

_STAGED = (State.AB_UPDATE_STAGED, State.RUNTIME_UPDATE_STAGED)


class PollAction(Enum):
    """What to do."""

    WAIT = auto()
    STAGE = auto()
    FINALIZE = auto()


@dataclass(frozen=True)
class Decision:
    """What to do, and why, in words that begin in lower case."""

    action: PollAction
    reason: str


@dataclass(frozen=True)
class Tried:
    """What this program did before: the hashes of the images that it staged and finalized last.

    Of the former also how often it was tried from the same `url`, and when last (ISO 8601, local time).
    """

    staged: str | None = None
    attempts: int = 0
    finalized: str | None = None
    url: str | None = None
    last: str | None = None

    def staging(self, image: OfferedImage, now: datetime) -> Tried:
        """After one more try to stage an image."""
        again = (self.staged, self.url) == (image.sha384, image.url)
        attempts = self.attempts + 1 if again else 1
        return Tried(image.sha384, attempts, self.finalized, image.url, now.isoformat(timespec="seconds"))

    def finalizing(self, sha384: str) -> Tried:
        """After the try to start an image."""
        return replace(self, finalized=sha384)

    def has_failed(self, image: OfferedImage, now: datetime) -> bool:
        """Whether an image failed so often that it is not tried now. A clock that was set back does not keep it off."""
        if (self.staged, self.url) != (image.sha384, image.url) or self.attempts < MAX_ATTEMPTS:
            return False
        try:
            return timedelta(0) <= now - datetime.fromisoformat(self.last or "") < _PAUSE
        except (ValueError, TypeError):
            return False  # of a memory that somebody else has edited


def decide(
    offer: Offer, status: HostStatus, tried: Tried, machine_id: str, window: Window | None, now: datetime
) -> Decision:
    """What to do about an offer. `now` is the machine's local time."""
    state, offered = status.servicing_state, offer.image.sha384
    current = status.spec.image.sha384 if status.spec.image else None
    if state is not State.PROVISIONED and state not in _STAGED:
        return _wait(f"the machine is in the state {state}")
    if state is State.PROVISIONED and current == offered:
        return _wait("the machine runs the image that is offered")
    if not is_chosen(machine_id, offered, offer.rollout):
        return _wait(f"it is not the turn of this machine: the image is for {offer.rollout:.4g} of all so far")
    if state in _STAGED and current == offered:
        return _when_open(window, now)
    if state in _STAGED and current != tried.staged:
        return _wait("another image is staged, by somebody else")
    if tried.finalized == offered:
        return _wait("the machine went back from the image that is offered: only another one will be tried")
    if tried.has_failed(offer.image, now):
        return _wait(f"staging the image failed {tried.attempts} times: it is tried once a day, another one at once")
    return Decision(PollAction.STAGE, "an image is offered that the machine does not run")


def is_chosen(machine_id: str, sha384: str, rollout: float) -> bool:
    """Whether a machine is among the fraction (0 to 1) of machines that get an image by now.

    Who is in stays in while the fraction grows. The image is part of the lot, so that other machines are the first
    with each.
    """
    lot = hashlib.sha256(f"{machine_id}\0{sha384}".encode()).digest()
    return int.from_bytes(lot[:6], "big") < rollout * 2**48


def is_open(window: Window | None, now: datetime) -> bool:
    """Whether a window is open; without one it always is."""
    if window is None:
        return True
    minute = now.hour * 60 + now.minute
    begun_today = window.start <= minute and (minute < window.end or window.end < window.start)
    begun_yesterday = window.end < window.start and minute < window.end
    yesterday = now - timedelta(days=1)
    return (begun_today and DAYS[now.weekday()] in window.days) or (
        begun_yesterday and DAYS[yesterday.weekday()] in window.days
    )


def with_image(config: HostConfig, offer: Offer) -> HostConfig:
    """The configuration of the machine with the image that is offered."""
    return config.model_copy(update={"image": OsImage(url=offer.image.url, sha384=offer.image.sha384)})


def _wait(reason: str) -> Decision:
    return Decision(PollAction.WAIT, reason)


def _when_open(window: Window | None, now: datetime) -> Decision:
    if is_open(window, now):
        return Decision(PollAction.FINALIZE, "the image that is offered is staged")
    return _wait("the image that is offered is staged, and will be started when the window opens")
