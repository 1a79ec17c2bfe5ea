"""One run of `trident-update-poll`: ask, decide, and let `trident update` do it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from twinroot.agent import poll_memory
from twinroot.agent.datastore import Datastore
from twinroot.agent.host_status import HostStatus
from twinroot.agent.poll import Decision, PollAction, decide, with_image
from twinroot.agent.poll_memory import Memory, replace_file
from twinroot.agent.poll_source import ask
from twinroot.config.host.normal import normal, to_yaml
from twinroot.config.update_poll import Offer, UpdatePollConfig, parse_offer
from twinroot.errors import HostError
from twinroot.tools import trident

log = logging.getLogger(__name__)

DIRECTORY = Path("/var/lib/trident/update-poll")
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True)
class Poll:
    """What a run works with; `now` says the local time."""

    config: UpdatePollConfig
    datastore: Path
    directory: Path = DIRECTORY
    machine_id: Path = _MACHINE_ID
    now: Callable[[], datetime] = datetime.now

    def run(self, *, act: bool = True) -> Decision:
        """Do what is to be done now; the last decision. Without `act` only say what it would be."""
        with poll_memory.alone(self.directory):
            memory = poll_memory.load(self.directory)
            found = ask(self.config.source, memory.found)
            memory = replace(memory, found=found)
            poll_memory.save(self.directory, memory)
            offer = parse_offer(found.text, self.config.source)
            decision = self._decide(offer, memory)
            if act and decision.action is PollAction.STAGE:
                memory = self._stage(offer, memory)
                decision = self._decide(offer, memory)
            if act and decision.action is PollAction.FINALIZE:
                self._finalize(offer, memory)
            return decision

    def _decide(self, offer: Offer, memory: Memory) -> Decision:
        window = self.config.window
        decision = decide(offer, self._status(), memory.tried, self._id(), window, self.now())
        log.info("%s: %s", decision.action.name.lower(), decision.reason)
        return decision

    def _stage(self, offer: Offer, memory: Memory) -> Memory:
        memory = replace(memory, tried=memory.tried.staging(offer.image, self.now()))
        poll_memory.save(self.directory, memory)
        trident.update(self._config_file(offer), "stage", log.info)
        return memory

    def _finalize(self, offer: Offer, memory: Memory) -> None:
        # Before, as the machine reboots; what comes up again without the image went back from it.
        poll_memory.save(self.directory, replace(memory, tried=memory.tried.finalizing(offer.image.sha384)))
        trident.update(self._config_file(offer), "finalize", log.info)

    def _config_file(self, offer: Offer) -> Path:
        path = self.directory / "config.yaml"
        replace_file(path, to_yaml(normal(with_image(self._status().spec, offer))))
        return path

    def _status(self) -> HostStatus:
        with Datastore.open(self.datastore) as datastore:
            return datastore.status() or HostStatus()

    def _id(self) -> str:
        try:
            found = self.machine_id.read_text().strip()
        except OSError as error:
            raise HostError(f"it cannot be read: {error.strerror}", where=str(self.machine_id)) from error
        if not found:
            raise HostError("the machine has no id yet", where=str(self.machine_id), hint="systemd-machine-id-setup")
        return found
