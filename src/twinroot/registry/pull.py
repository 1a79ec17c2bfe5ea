"""Pulling: the files of an artifact into a directory.

Every file grows under a name of its own beside its final one, `.NAME.DIGEST.partial`, which another run continues, and
is renamed when its digest matched and it is synced.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial as bound
from pathlib import Path

from twinroot.errors import FormatError, InputError, NoSpaceError
from twinroot.events import Emit, phase
from twinroot.registry.client import Client
from twinroot.registry.counter import Counter
from twinroot.registry.fetch import fetch_blob
from twinroot.registry.manifest import Descriptor
from twinroot.registry.parallel import run_all
from twinroot.registry.resolve import Resolved
from twinroot.registry.titles import file_names
from twinroot.units import human

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Step:
    """A file to fetch."""

    blob: Descriptor
    path: Path

    @property
    def partial(self) -> Path:
        """Where it grows."""
        return self.path.with_name(f".{self.path.name}.{self.blob.digest.split(':')[1][:16]}.partial")

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        # A leftover that is longer than the whole is thrown away.
        size = self.partial.stat().st_size if self.partial.is_file() else 0
        return self.blob.size - (size if size <= self.blob.size else 0)


def files_of(resolved: Resolved, where: str) -> Mapping[str, Descriptor]:
    """The files of an artifact by name; InputError when it has none, as container images do."""
    try:
        found = file_names(resolved.manifest.layers)
    except FormatError as error:
        raise FormatError(error.message, where=where) from error
    if not found:
        hint = "container images have layers without names; pull an artifact"
        raise InputError("there are no named files in this", where=where, hint=hint)
    unnamed = len(resolved.manifest.layers) - len(found)
    if unnamed:
        log.info("%d layers without names (or named twice) are left out", unnamed)
    return found


def pull(client: Client, files: Mapping[str, Descriptor], directory: Path, emit: Emit) -> list[Path]:
    """Fetch files of an artifact, by their names, into a directory that exists; returns their paths.

    What is there already with the right content stays. NetworkError, AnswerError, FormatError, NoSpaceError; files
    that were complete by then have their names, others are continued by the next call.
    """
    steps = [_Step(blob, _place(directory, name)) for name, blob in files.items()]
    missing = [step for step in steps if not has_content(step.path, step.blob)]
    for step in steps:
        if step not in missing:
            log.info("%s is there already", step.path)
    needed = sum(step.left for step in missing)
    resumed = sum(step.blob.size for step in missing) - needed
    if resumed:
        log.info("Resuming: %s are here already", human(resumed))
    _check_room(directory, needed)
    if missing:
        with phase(emit, "pull", f"Pulling {client.reference}", total=needed):
            count = Counter(emit, "pull", needed)
            run_all([bound(_fetch, client, step, count.add) for step in missing], client.stop)
    return [step.path for step in steps]


def has_content(path: Path, blob: Descriptor) -> bool:
    """Whether a file is there and is what the descriptor says, by its digest."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != blob.size:
        return False
    algorithm = blob.digest.split(":")[0]
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == blob.digest.split(":")[1]


def _fetch(client: Client, step: _Step, advance: Callable[[int], None]) -> None:
    fetch_blob(client, step.blob, step.partial, advance)
    step.partial.replace(step.path)
    log.debug("%s is complete", step.path)


def _place(directory: Path, name: str) -> Path:
    """Where a file goes, its directory made; InputError when something else is in the way."""
    path = directory / name
    current = directory
    for part in name.split("/")[:-1]:
        # One by one: a link that lies there, perhaps from another artifact, must not be followed.
        current = current / part
        if current.is_symlink() or (current.exists() and not current.is_dir()):
            raise InputError(f"a directory is wanted for {name}, and something else is there", where=str(current))
        current.mkdir(exist_ok=True)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError("something that is no file is in the way", where=str(path), hint="remove it first")
    return path


def _check_room(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise NoSpaceError(
            f"{human(needed)} are to be fetched and {human(free)} are free",
            where=str(directory),
            hint="free some space, or use a directory on another disk",
        )


def output_directory(path: Path) -> Path:
    """A directory to pull into, made when its parent is there; InputError when it cannot be used."""
    try:
        path.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        raise InputError("the directory above does not exist", where=str(path), hint=f"mkdir -p {path}") from error
    except FileExistsError as error:
        raise InputError("this is a file, not a directory", where=str(path), hint="name a directory with -o") from error
    if not os.access(path, os.W_OK):
        raise InputError("this directory is not writable for this user", where=str(path))
    return path
