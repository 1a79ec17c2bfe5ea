"""The status of a machine as a command moves it along: every change is a transition, written before what follows it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from twinroot.agent.datastore import Datastore
from twinroot.agent.errors import ServicingError, tells_of_staging
from twinroot.agent.host_status import HostStatus, after
from twinroot.agent.states import TRANSITIONS, State, Transition, Trigger
from twinroot.config.host.config import HostConfig
from twinroot.config.load_host import UNREADABLE

log = logging.getLogger(__name__)


class Ledger:
    """The datastore with the latest status in it."""

    def __init__(self, datastore: Datastore, reached: Callable[[State], None] = lambda _state: None) -> None:
        """`reached` hears of every state that the machine comes to, once the datastore has it."""
        self._datastore = datastore
        self._reached = reached
        self.status = datastore.status() or HostStatus()
        self.began = self.status.servicing_state
        self.moves: list[tuple[Trigger, State]] = []
        """What happened to the machine since."""

    def move(
        self, trigger: Trigger, *, new_spec: HostConfig | None = None, error: Any = None, **changes: Any
    ) -> Transition:
        """Carry a transition out. `changes` are further fields of the status. ServicingError where there is none."""
        transition = TRANSITIONS[self.status.servicing_state].get(trigger)
        if transition is None:
            message = f"this cannot be done while the machine is in the state {self.status.servicing_state}"
            raise ServicingError("unexpected-servicing-state", message, hint="see: trident get status")
        found = after(self.status, transition, new_spec=new_spec, error=error)
        self.write(found.model_copy(update=changes))
        self.moves.append((trigger, transition.to))
        log.info("The machine is %s now", transition.to)
        self._reached(transition.to)
        return transition

    def write(self, status: HostStatus) -> None:
        """Keep a status that no transition makes: what is planned, what failed, what goes back."""
        self._datastore.write(status)
        self.status = status

    def history(self) -> Iterator[HostStatus]:
        """All statuses that the machine has had, newest first."""
        return self._datastore.history()

    def forget_error(self) -> None:
        """Of an earlier command's error nobody hears any more, when another one begins (servicing spec, section 19).

        But of a half that was not written to its end, and of a new system that failed, which the next commit reports.
        """
        if self.status.last_error is not None and not self._tells_of_a_half():
            log.info("The error of an earlier command is forgotten; it is in the log of that command")
            self.write(self.status.model_copy(update={"last_error": None}))

    def note(self, error: ServicingError) -> None:
        """Keep why a command failed."""
        self.write(self.status.model_copy(update={"last_error": error.record()}))

    def note_mistake(self, error: ServicingError) -> None:
        """Keep that a configuration is wrong, which touched nothing and so hides nothing that is to be known of a half.

        Whether there is a file at all is looked at before any status is (servicing spec, section 1.2).
        """
        if error.name != UNREADABLE and not self._tells_of_a_half():
            self.note(error)

    def _tells_of_a_half(self) -> bool:
        failed = self.status.servicing_state is State.AB_UPDATE_HEALTH_CHECK_FAILED
        return failed or tells_of_staging(self.status.last_error)
