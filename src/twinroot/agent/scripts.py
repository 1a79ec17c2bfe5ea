"""The user's scripts: when they run, what they find in their environment, and running them (host-config spec, section
9).

Scripts are read while a machine is prepared and run later, so that what was checked is what runs.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from twinroot.agent.errors import ServicingError
from twinroot.agent.states import ServicingType
from twinroot.config.host.scripts import RunsOn, Script
from twinroot.errors import CommandError, MissingToolError
from twinroot.sandbox.chroot import Chroot
from twinroot.tools.run import run
from twinroot.units import MIB

log = logging.getLogger(__name__)

_SHELL = "/bin/sh"
_MAX_SCRIPT = 64 * MIB
_SHOWN = 12  # lines of a failed script, as CommandError has it

_Item = TypeVar("_Item", bound=RunsOn)


@dataclass(frozen=True)
class Loaded:
    """A script with its text, and how messages call it."""

    script: Script
    text: bytes
    shown: str


def due(items: Sequence[_Item], servicing: ServicingType) -> tuple[_Item, ...]:
    """Those that run in a kind of servicing: `all` is every kind, no `runOn` is none."""
    return tuple(item for item in items if "all" in item.run_on or str(servicing) in item.run_on)


def environment_of(
    script: Script, servicing: ServicingType, target_root: str, phonehome: str | None = None
) -> dict[str, str]:
    """The variables that a script is given; those of the agent win."""
    name = "none" if servicing is ServicingType.NONE else str(servicing).replace("-", "_")
    found = {**script.environment_variables, "SERVICING_TYPE": name, "TARGET_ROOT": target_root}
    return found | ({"PHONEHOME_URL": phonehome} if phonehome else {})


def load(scripts: Sequence[Script], section: str, servicing: ServicingType) -> tuple[Loaded, ...]:
    """Read the scripts of a section that will run; ServicingError for the first that cannot be read."""
    places = {id(script): index for index, script in enumerate(scripts)}
    found = due(scripts, servicing)
    return tuple(read(script, shown(script, f"{section}[{places[id(script)]}]")) for script in found)


def shown(script: Script, place: str) -> str:
    """How messages call a script: by its place in the configuration and by its name or path."""
    name = script.name or script.path
    return f"{place} ({name})" if name else place


def read(script: Script, shown: str) -> Loaded:
    """A script with its text; ServicingError when it cannot be read."""
    if script.path is None:
        return Loaded(script, (script.content or "").encode("utf-8", "surrogatepass"), shown)
    path = Path(script.path)
    if not path.is_file():
        message = f"{shown}: there is no file {path}"
        raise ServicingError("invalid-host-configuration-dynamic", message, inner="invalid-script-path")
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SCRIPT + 1)
    except OSError as error:
        message = f"{shown}: {path} cannot be read: {error.strerror}"
        raise ServicingError("invalid-host-configuration-dynamic", message, inner="load-script") from error
    if len(text) > _MAX_SCRIPT:
        message = f"{shown}: {path} is too large for a script"
        raise ServicingError("invalid-host-configuration-dynamic", message, inner="load-script")
    return Loaded(script, text, shown)


def run_on_host(loaded: Loaded, environment: Mapping[str, str]) -> None:
    """Run a script in the system that the agent runs in; CommandError or MissingToolError when it fails."""
    log.info("Running %s", loaded.shown)
    with tempfile.TemporaryDirectory(prefix="trident-script-") as directory:
        path = Path(directory, "script")
        _write(path, loaded.text)
        argv = [loaded.script.interpreter or _SHELL, str(path), *loaded.script.arguments]
        run(argv, env=environment, on_line=_see(loaded), merged=True)


def run_in_target(chroot: Chroot, loaded: Loaded, environment: Mapping[str, str]) -> None:
    """Run a script inside the new root, which has a /tmp of its own for it; CommandError when it fails."""
    log.info("Running %s", loaded.shown)
    with _placed(chroot, loaded.text) as path:
        argv = [loaded.script.interpreter or _SHELL, path, *loaded.script.arguments]
        chroot.run(argv, env=environment, on_line=_see(loaded), merged=True, network=True, may_mount=True)


def failure(name: str, loaded: Loaded, error: CommandError | MissingToolError) -> ServicingError:
    """The error of a section whose script failed; `name` is that of the error."""
    return ServicingError(name, f"{loaded.shown}: {why(error)}", hint=error.hint)


def why(error: CommandError | MissingToolError) -> str:
    """Why a script failed, with the end of what it printed; its temporary path says nothing to anybody."""
    if not isinstance(error, CommandError):
        return error.message
    ended = f"exit code {error.code}" if error.code >= 0 else f"signal {-error.code}"
    lines = [f"\n  | {printable(line)}" for line in error.output.strip().splitlines()[-_SHOWN:]]
    return f"it ended with {ended}{''.join(lines)}"


def printable(line: str) -> str:
    """A line of a script's output as it can be shown anywhere: a terminal obeys control characters."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def _see(loaded: Loaded) -> Callable[[str], None]:
    """What logs each line of a script."""
    return lambda line: log.debug("%s: %s", loaded.shown, printable(line))


@contextmanager
def _placed(chroot: Chroot, text: bytes) -> Iterator[str]:
    """The path of a script inside the new root, for as long as the block runs. Its /tmp is a file system in memory."""
    descriptor, name = tempfile.mkstemp(prefix="trident-script-", dir=chroot.root / "tmp")
    os.close(descriptor)
    path = Path(name)
    try:
        _write(path, text)
        yield f"/tmp/{path.name}"
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    path.chmod(0o700)
