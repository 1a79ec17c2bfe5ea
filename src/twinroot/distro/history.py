"""The histories that RPM package managers keep, SQLite databases, with the times of a reproducible build.

They hold why each package was installed, which later decides what is no longer needed; so they stay, with other times.
dnf's libdnf and dnf5 have a table `trans`, tdnf a table `transactions`.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from twinroot.errors import TwinrootError

HISTORIES = (
    "/var/lib/dnf/history.sqlite",
    "/usr/lib/sysimage/libdnf5/transaction_history.sqlite",
    "/var/lib/tdnf/history.db",
)
_TIMES = {"trans": ("dt_begin", "dt_end"), "transactions": ("timestamp",)}
_BESIDE = ("-wal", "-shm", "-journal")
# Steps of SQLite's machine, in thousands: an image's own triggers must not keep us for ever.
_MOST_STEPS = 20_000


def settle_history(database: Path, epoch: int, scratch: Path) -> None:
    """Give every transaction in a database, a plain file, the time `epoch`, and its file one form for one content.

    Works on a copy in `scratch`; what SQLite keeps beside the database is worked in and removed. TwinrootError when it
    is damaged.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        copy, settled = Path(directory, "history"), Path(directory, "settled")
        shutil.copyfile(database, copy)
        for end in _BESIDE:
            beside = database.with_name(database.name + end)
            if end != "-shm" and beside.is_file() and not beside.is_symlink():
                shutil.copyfile(beside, copy.with_name(copy.name + end))
        try:
            _settle(copy, settled, epoch)
        except sqlite3.Error as error:
            raise TwinrootError(
                f"the package manager's history in the image cannot be read: {error}",
                where=str(database),
                hint="remove it in the base image, or unset SOURCE_DATE_EPOCH",
            ) from error
        database.write_bytes(settled.read_bytes())
    for end in _BESIDE:
        database.with_name(database.name + end).unlink(missing_ok=True)


def _settle(copy: Path, settled: Path, epoch: int) -> None:
    budget = [_MOST_STEPS]

    def stop() -> bool:
        budget[0] -= 1
        return budget[0] < 0

    with closing(sqlite3.connect(copy)) as connection:
        connection.set_progress_handler(stop, 1000)
        connection.execute("PRAGMA trusted_schema = OFF")
        for table, columns in _TIMES.items():
            present = {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}
            for column in columns:
                if column in present:
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} > ?", (epoch, epoch))
        connection.commit()
        connection.execute("VACUUM INTO ?", (str(settled),))
