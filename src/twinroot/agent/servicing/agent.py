"""The agent on one machine: where it keeps its status, and what surrounds every command that changes something.

One command at a time; its error ends up in the status, and the caller hears whether the machine has to start anew.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path

from twinroot.agent.agent_config import read_datastore_path
from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.datastore import Datastore, is_temporary
from twinroot.agent.errors import ServicingError
from twinroot.agent.kept_logs import is_kept, keep_log
from twinroot.agent.servicing.boot import RUN
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.states import State
from twinroot.config.host.not_built import STATIC
from twinroot.config.load_host import OLD_KEYS, UNPARSABLE, UNREADABLE
from twinroot.config.secrets import without_secrets_of_urls
from twinroot.errors import CommandError, ConfigError, FormatError, HostError, MissingToolError, TwinrootError
from twinroot.events import Emit, silent

log = logging.getLogger(__name__)

_KEPT_PROBLEMS = 5  # of a wrong configuration


class Outcome(Enum):
    """How a command ended."""

    DONE = auto()
    REBOOT = auto()
    """The machine has to start anew."""


@dataclass(frozen=True)
class Result:
    """How a command ended; with `error` it failed, which a machine that has to start anew may have as well."""

    outcome: Outcome
    error: ServicingError | None = None


@dataclass(frozen=True)
class Agent:
    """What commands work with. `emit` hears of their progress; `log_file` is where they are logged."""

    datastore: Path = field(default_factory=read_datastore_path)
    variables: EfiVariables = field(default_factory=EfiVariables)
    emit: Emit = silent
    lock: Path = RUN / "trident.lock"
    log_file: Path | None = None

    @property
    def restart_is_due(self) -> bool:
        """Whether another system starts next time, and the machine did not start anew since that was so."""
        return self._armed.exists()

    @property
    def another_runs(self) -> bool:
        """Whether another command changes the machine just now. Looked up, as trying to lock would disturb one."""
        try:
            found = self.lock.stat()
        except FileNotFoundError:
            return False
        name = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        return any(name in line.split() for line in Path("/proc/locks").read_text().splitlines())

    def note_arming(self) -> None:
        """Note that another system is made to start next time, until the running one ends."""
        self._armed.parent.mkdir(parents=True, exist_ok=True)
        self._armed.touch()

    def note_standing_down(self) -> None:
        """Note that no other system starts next time after all."""
        self._armed.unlink(missing_ok=True)

    @property
    def _armed(self) -> Path:
        return self.lock.with_name("restart-is-due")

    def reached(self, state: State) -> None:
        """Keep what led to a state beside the datastore."""
        if self.log_file and is_kept(state):
            keep_log(self.log_file, self.datastore.parent, state)


def service(
    agent: Agent,
    work: Callable[[Ledger], Result],
    *,
    installing: bool = False,
    guard: Callable[[], None] = lambda: None,
) -> Result:
    """Do the work of a command on the status of the machine, and keep in it what went wrong.

    What `guard` refuses leaves nothing behind: a machine that is none of an installation's gets no status by it.
    ServicingError when nothing could be begun: without root, without a status, while another command runs.
    """
    with alone(agent):
        guard()
        with _opened(agent.datastore, installing=installing) as datastore:
            return _served(Ledger(datastore, agent.reached), work)


@contextmanager
def alone(agent: Agent) -> Iterator[None]:
    """No other command changes the machine while the block does, which begins the log anew. ServicingError."""
    if os.geteuid() != 0:
        raise ServicingError("check-root-privileges", "this needs root", hint="run it with sudo")
    with _locked(agent.lock):
        _begin_log(agent.log_file)
        yield


def _served(ledger: Ledger, work: Callable[[Ledger], Result]) -> Result:
    try:
        return work(ledger)
    except ConfigError as error:
        _note_mistake(ledger, error)
        raise  # as it is: all mistakes are told, each at its place
    except Exception as error:
        found = as_servicing_error(error)
        ledger.note(found)
        raise found from error


def _note_mistake(ledger: Ledger, error: ConfigError) -> None:
    try:
        ledger.note_mistake(_to_keep(error))
    except (TwinrootError, OSError) as failed:
        log.warning("The status does not tell of the wrong configuration: %s", as_servicing_error(failed).message)


def _to_keep(error: ConfigError) -> ServicingError:
    """What the status tells of a wrong configuration: the same for the same mistakes, wherever the file was."""
    found = as_servicing_error(error)
    shown = [replace(problem, file=Path(problem.file).name) for problem in error.problems[:_KEPT_PROBLEMS]]
    left = len(error.problems) - len(shown)
    more = [f"and {left} more problem{'s' if left > 1 else ''}"] if left else []
    message = "\n".join([*(without_secrets_of_urls(str(problem)) for problem in shown), *more])
    return ServicingError(found.name, message, inner=found.inner)


def as_servicing_error(error: Exception) -> ServicingError:
    """An error under one of the peer's names; `panic` is its word for what nobody expected."""
    if isinstance(error, ServicingError):
        return error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return ServicingError("internal", f"{where}{error.strerror or error}")
    if not isinstance(error, TwinrootError):
        hint = "this is a defect of the agent; please report it with the log, which says where it happened"
        return ServicingError("panic", f"{type(error).__name__}: {error}", hint=hint)
    message = f"{error.where}: {error.message}" if error.where else error.message
    if isinstance(error, MissingToolError):
        return ServicingError("missing-binary", message, hint=error.hint)
    name = "command-failed" if isinstance(error, (CommandError, HostError)) else "internal"
    if isinstance(error, FormatError):
        name = "corrupt-os-image"
    if isinstance(error, ConfigError):
        return _of_configuration(error, message)
    return ServicingError(name, message, hint=error.hint)


def _of_configuration(error: ConfigError, message: str) -> ServicingError:
    """What is wrong with a configuration, by the name of the first problem: the peer parses before it checks."""
    codes = [problem.code or UNPARSABLE for problem in error.problems]
    code = UNPARSABLE if UNPARSABLE in codes else codes[0]
    if code in (UNREADABLE, UNPARSABLE, STATIC, *(code for code, _ in OLD_KEYS.values())):
        return ServicingError(code, message)
    return ServicingError(STATIC, message, inner=code)


def _begin_log(path: Path | None) -> None:
    """The log is that of the last command that changed the machine."""
    if path:
        with suppress(OSError):
            os.truncate(path, 0)


@contextmanager
def _opened(path: Path, *, installing: bool) -> Iterator[Datastore]:
    if not installing:
        Datastore.open(path).close()  # The error for a machine without one.
    with Datastore.create(path) as datastore:
        if not installing and is_temporary(datastore.status()):
            message = "this machine was not installed yet: its datastore is that of an installation"
            raise ServicingError("host-not-provisioned", message, hint="install an image first")
        yield datastore


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """No other command of the agent runs while the block does. The lock goes with the process, whatever ends it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = "another command of the agent is changing this machine"
            raise ServicingError("servicing-active", message, hint="wait until it has ended") from error
        yield
    finally:
        os.close(descriptor)
