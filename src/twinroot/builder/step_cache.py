"""`--cache-dir`: steps whose inputs did not change are not run again.

Before the tree is assembled, the ids of all steps are known (`plan.content_ids`). The latest kept tree among them is
brought back, and only what comes after it is carried out, apart from steps that write this image's own identifiers.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from twinroot.builder.checkpoints import Checkpoints
from twinroot.builder.digests import Digests
from twinroot.builder.ingredients import foundation, recipe
from twinroot.builder.request import CustomizeRequest
from twinroot.errors import CommandError, HostError
from twinroot.output.space import naming_full_disk
from twinroot.plan.content_ids import (
    Ingredient,
    Recipe,
    content_ids,
    explain,
    first_change,
    to_carry_out,
    worth_keeping,
)
from twinroot.plan.disk import PlannedDisk
from twinroot.plan.identity import Identity
from twinroot.plan.steps import Step

log = logging.getLogger(__name__)

_Record = tuple[Sequence[Ingredient], Sequence[Recipe]]


class StepCache:
    """The cache in one run."""

    def __init__(
        self, directory: Path, request: CustomizeRequest, image_file: Path, steps: Sequence[Step], disk: PlannedDisk,
        identity: Identity, *, privileged: bool,
    ) -> None:  # fmt: skip
        self._checkpoints = Checkpoints(directory, "root" if privileged else "user")
        self._steps = steps
        digests = Digests(self._checkpoints.directory / "digests.json")
        self._now: _Record = (
            foundation(image_file, disk, digests),
            tuple(recipe(request, step, digests) for step in steps),
        )
        digests.save()
        self._ids = content_ids(*self._now, str(identity.image_id))
        self._kept = worth_keeping(steps)
        name = hashlib.sha256(str(request.config.path.absolute()).encode()).hexdigest()
        self._record = self._checkpoints.directory / "runs" / f"{name}.json"

    def restore(self, scratch: Path, *, why: bool) -> int:
        """Bring back what can be used; the number of steps that the tree has behind it."""
        found = self._checkpoints.restore(self._ids, scratch)
        done = 0 if found is None else found + 1
        spared = len(self._steps) - len(to_carry_out(self._steps, done))
        log.info("Cache: %d of %d steps need not be run again", spared, len(self._steps))
        if why:
            self._explain(done)
        with suppress(OSError):  # it only serves to explain
            self._record.write_text(json.dumps([[asdict(each) for each in part] for part in self._now]))
        return done

    def keep(self, index: int, scratch: Path) -> None:
        """Keep the tree as it is after a step, where that is worth it. A cache that is full does not end the build."""
        if index not in self._kept:
            return
        try:
            with naming_full_disk(self._checkpoints.directory, "cache directory"):
                self._checkpoints.keep(self._ids[index], scratch)
        except (HostError, CommandError) as error:
            log.warning("Cache: what '%s' made is not kept: %s", self._steps[index].title, error)

    def _explain(self, done: int) -> None:
        before = _read(self._record)
        change = first_change(before, self._now) if before else None
        for line in explain(self._steps, done, change, first=before is None):
            log.info("Cache: %s", line)


def _read(record: Path) -> _Record | None:
    try:
        ground, recipes = json.loads(record.read_text())
        return (
            [Ingredient(**each) for each in ground],
            [
                Recipe(each["title"], each["action"], tuple(Ingredient(**i) for i in each["ingredients"]))
                for each in recipes
            ],
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
