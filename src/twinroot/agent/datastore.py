"""The datastore: an SQLite file that holds every status a machine has had (servicing spec, section 2.4).

One table, `hoststatus`, in the form that the peer makes: its declaration of `timestamp` is misspelt there, which SQLite
takes for the name of a type. Unlike the peer we fill that column. Rows are only ever added.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from twinroot.agent.errors import ServicingError
from twinroot.agent.kept_logs import drop_oldest
from twinroot.agent.stored import COMPATIBLE_VERSION

if TYPE_CHECKING:
    from twinroot.agent.host_status import HostStatus

_TABLE = """CREATE TABLE IF NOT EXISTS hoststatus (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp DATETIME DEFALUT CURRENT_TIMESTAMP,
    contents TEXT NOT NULL
)"""
_WAIT = 10.0  # seconds for another process to finish with the file


# What SQLite says of a file that is none of its own, or not any more.
_DAMAGED = ("not a database", "malformed", "no such table")


class Datastore:
    """An open datastore. Use it in a `with` statement."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connection

    @classmethod
    def open(cls, path: Path) -> Datastore:
        """Open a datastore that is there, for reading; ServicingError when there is none.

        Whoever may write to it opens it so: after a power cut there may be a transaction to take back before anything
        can be read, which SQLite does itself, but not through a connection that only reads.
        """
        if not path.exists():
            hint = "install an image first, or see DatastorePath in /etc/trident/trident.conf"
            raise ServicingError("host-not-provisioned", f"there is no datastore at {path}", hint=hint)
        mode = "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
        with _errors(path, "open-datastore"):
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_WAIT)
        with _closing_on_error(connection), _errors(path, "load-datastore"):
            connection.execute("SELECT 1 FROM hoststatus LIMIT 1").fetchone()
            connection.execute("PRAGMA query_only=ON")
        return cls(path, connection)

    @classmethod
    def create(cls, path: Path) -> Datastore:
        """Open a datastore for writing; it and its directory are made when missing. Nobody else may read a new one."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            message = f"{path}: {error.strerror}"
            raise ServicingError("datastore", message, inner="create-datastore-directory") from error
        with _errors(path, "open-datastore"):
            connection = sqlite3.connect(path, timeout=_WAIT)
        with _closing_on_error(connection), _errors(path, "initialize-datastore"), connection:
            # What was written is not taken back by a power cut: the end of a transaction is durable, too.
            connection.execute("PRAGMA synchronous=EXTRA")
            connection.execute(_TABLE)
        return cls(path, connection)

    def __enter__(self) -> Datastore:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; writing is an error from now on."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def status(self) -> HostStatus | None:
        """The latest status; None when there is none yet."""
        from twinroot.agent.host_status import read_status

        row = self._latest()
        return read_status(row[1], self._name(row[0])) if row else None

    def text(self) -> str | None:
        """The latest status as it is stored; None when there is none yet. It need not be one that can be read."""
        row = self._latest()
        return row[1] if row else None

    def history(self) -> Iterator[HostStatus]:
        """All statuses, newest first; ServicingError at the first that cannot be read."""
        from twinroot.agent.host_status import read_status

        with _errors(self._path, "read-datastore"), closing(self._open().cursor()) as cursor:
            for number, text in cursor.execute("SELECT id, contents FROM hoststatus ORDER BY id DESC"):
                yield read_status(text, self._name(number))

    def write(self, status: HostStatus) -> None:
        """Add a status with our version in it, unless it is the same as the latest."""
        from twinroot.agent.host_status import write_status

        if self._connection is None:
            raise ServicingError("datastore", "the datastore is closed", inner="write-to-closed-datastore")
        stamped = status.model_copy(update={"trident_version": COMPATIBLE_VERSION})
        if stamped == self.status():
            return
        values = (datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), write_status(stamped))
        with _errors(self._path, "write-to-datastore"):
            while not _inserted(self._connection, values):
                # What the machine is counts for more than how it came to be that.
                if not drop_oldest(self._path.parent):
                    hint = f"make room in {self._path.parent}, and run the command again"
                    message = f"{self._path}: there is no room left for what is to be kept"
                    raise ServicingError("datastore", message, hint=hint, inner="write-to-datastore")

    def _latest(self) -> tuple[int, str] | None:
        with _errors(self._path, "read-datastore"):
            query = "SELECT id, contents FROM hoststatus ORDER BY id DESC LIMIT 1"
            row: tuple[int, str] | None = self._open().execute(query).fetchone()
        return row

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ServicingError("datastore", "the datastore is closed", inner="read-datastore")
        return self._connection

    def _name(self, number: int) -> str:
        return f"{self._path}, row {number}"


def _inserted(connection: sqlite3.Connection, values: tuple[str, str]) -> bool:
    """Add a row; whether there was room for it."""
    try:
        with connection:
            connection.execute("INSERT INTO hoststatus (timestamp, contents) VALUES (?, ?)", values)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        return False
    return True


def is_temporary(status: HostStatus | None) -> bool:
    """Whether a datastore with this latest status is that of an installation, and not of an installed machine."""
    return status is None or status.is_management_os or is_untouched(status)


def is_untouched(status: HostStatus) -> bool:
    """Whether a status only tells of an installation that failed before it had begun."""
    from twinroot.agent.states import State
    from twinroot.config.host.config import HostConfig

    return status.servicing_state is State.NOT_PROVISIONED and status.spec == HostConfig()


@contextmanager
def _errors(path: Path, name: str) -> Iterator[None]:
    """What SQLite finds wrong, as an error with the peer's name."""
    try:
        yield
    except sqlite3.Error as error:
        hint = "run this as root" if "unable to open" in str(error) and os.geteuid() else None
        if any(words in str(error) for words in _DAMAGED):
            hint = f"put {path} aside, and tell the agent anew what this machine is: trident offline-initialize"
        raise ServicingError("datastore", f"{path}: {error}", hint=hint, inner=name) from error


@contextmanager
def _closing_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
