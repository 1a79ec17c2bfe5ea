"""Copies of the agent's log beside the datastore: what led to each state, when the log itself tells of later commands.

The names are the peer's (servicing spec, section 18): `trident-AbUpdateStaged-20261126T043012Z.log`.
"""

from __future__ import annotations

import logging
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from twinroot.agent.states import State

log = logging.getLogger(__name__)

KEPT = 40
"""Copies that are kept, the newest; an update makes two. The place for the datastore is small on many machines."""
_NAME = re.compile(r"trident-[A-Za-z]+-[0-9]{8}T[0-9]{6}Z\.log")


def copy_name(state: State, now: datetime) -> str:
    """The name of the copy for a state that was reached."""
    words = "".join(word.capitalize() for word in state.split("-"))
    return f"trident-{words}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.log"


def is_kept(state: State) -> bool:
    """Whether the log is copied when a machine gets to a state: everything staged and finalized."""
    return state.endswith(("-staged", "-finalized"))


def superfluous(names: list[str]) -> list[str]:
    """Of the names in a directory, those of copies that are too old to be kept. What has other names is not ours."""
    copies = sorted(filter(_NAME.fullmatch, names), key=lambda name: name.rpartition("-")[2], reverse=True)
    return copies[KEPT:]


def keep_log(source: Path, directory: Path, state: State, now: datetime | None = None) -> None:
    """Copy the log. Servicing does not fail with it: what goes wrong is a warning."""
    target = directory / copy_name(state, now or datetime.now(UTC))
    try:
        try:
            shutil.copyfile(source, target)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        for name in superfluous([path.name for path in directory.iterdir()]):
            (directory / name).unlink()
    except OSError as error:
        log.warning("The log was not copied to %s: %s", target, error.strerror or error)
