"""Copies of the agent's log beside the datastore: what led to each state, when the log itself tells of later commands.

The names are the peer's (servicing spec, section 18): `trident-AbUpdateStaged-20261126T043012Z.log`.
"""

from __future__ import annotations

import logging
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from twinroot.agent.states import State

log = logging.getLogger(__name__)

KEPT = 40
"""Copies that are kept, the newest; an update makes two. The place for the datastore is small on many machines."""
KEPT_FAILED = 10
"""Of them, those of commands that failed: what fails once a day must not drive out what led to the system that runs."""
FAILED: Final = "failed"
"""What a copy of the log of a command that failed is named by, in place of a state."""
Failed = Literal["failed"]
_NAME = re.compile(r"trident-[A-Za-z]+-[0-9]{8}T[0-9]{6}Z\.log")


def copy_name(state: State | Failed, now: datetime) -> str:
    """The name of the copy for a state that was reached, or for a failure."""
    words = "".join(word.capitalize() for word in state.split("-"))
    return f"trident-{words}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.log"


def is_kept(state: State) -> bool:
    """Whether the log is copied when a machine gets to a state: everything staged and finalized."""
    return state.endswith(("-staged", "-finalized"))


def superfluous(names: list[str]) -> list[str]:
    """Of the names in a directory, those of copies that are too old to be kept. What has other names is not ours."""
    copies = _newest_first(names)
    failed = [name for name in copies if name.startswith("trident-Failed-")]
    return [name for name in copies if name in copies[KEPT:] or name in failed[KEPT_FAILED:]]


def drop_oldest(directory: Path) -> bool:
    """Remove the oldest copy, for the room that it takes; whether there was one."""
    copies = _newest_first([path.name for path in directory.iterdir()])
    if not copies:
        return False
    log.warning("There is no room left in %s: %s is removed", directory, copies[-1])
    (directory / copies[-1]).unlink()
    return True


def _newest_first(names: list[str]) -> list[str]:
    return sorted(filter(_NAME.fullmatch, names), key=lambda name: name.rpartition("-")[2], reverse=True)


def keep_log(source: Path, directory: Path, state: State | Failed, now: datetime | None = None) -> None:
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
