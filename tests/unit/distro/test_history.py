"""Package managers' histories: their times follow the epoch, everything else stays, and damage is said clearly."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from twinroot.distro.history import settle_history
from twinroot.errors import TwinrootError

EPOCH = 1_700_000_000
DNF = "CREATE TABLE trans (id INTEGER PRIMARY KEY, dt_begin INTEGER NOT NULL, dt_end INTEGER, cmdline TEXT)"
TDNF = "CREATE TABLE transactions (id INTEGER PRIMARY KEY, cmdline TEXT, timestamp INTEGER)"


def database(path: Path, later: int, *, wal: bool = False) -> Path:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(DNF)
        connection.execute(TDNF)
        connection.execute("INSERT INTO trans VALUES (1, 500, 600, 'old')")
        connection.execute("INSERT INTO trans VALUES (2, ?, ?, 'new')", (EPOCH + later, EPOCH + later + 3))
        connection.execute("INSERT INTO transactions VALUES (1, 'new', ?)", (EPOCH + later,))
        connection.commit()
    return path


def test_same_bytes_at_other_times(tmp_path: Path) -> None:
    first, second = (database(tmp_path / name / "h", later) for name, later in (("a", 5), ("b", 5000)))
    second.chmod(0o600)
    for path in (first, second):
        settle_history(path, EPOCH, tmp_path)
    assert first.read_bytes() == second.read_bytes()
    assert second.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(first)) as connection:
        rows = connection.execute("SELECT * FROM trans ORDER BY id").fetchall()
        assert rows == [(1, 500, 600, "old"), (2, EPOCH, EPOCH, "new")]
        assert connection.execute("SELECT * FROM transactions").fetchall() == [(1, "new", EPOCH)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_lies_in_the_log_beside_it_is_worked_in(tmp_path: Path) -> None:
    source = database(tmp_path / "a" / "h", 5, wal=True)
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("INSERT INTO trans VALUES (3, 1, 2, 'in the log')")
        connection.commit()
        (tmp_path / "b").mkdir()
        for end in ("", "-wal", "-shm"):
            (tmp_path / "b" / f"h{end}").write_bytes((tmp_path / "a" / f"h{end}").read_bytes())
    settle_history(tmp_path / "b/h", EPOCH, tmp_path)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["h"]
    with closing(sqlite3.connect(tmp_path / "b/h")) as connection:
        assert connection.execute("SELECT cmdline FROM trans WHERE id = 3").fetchall() == [("in the log",)]


def test_link_beside_it_is_not_followed(tmp_path: Path) -> None:
    path = database(tmp_path / "a" / "h", 5)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "a/h-wal").symlink_to(tmp_path / "secret")
    settle_history(path, EPOCH, tmp_path)
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert not os.path.lexists(tmp_path / "a/h-wal")


@pytest.mark.parametrize("content", [b"", b"no database at all " * 100])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "h").write_bytes(content)
    if not content:
        settle_history(tmp_path / "h", EPOCH, tmp_path)
        return
    with pytest.raises(TwinrootError, match="history in the image cannot be read"):
        settle_history(tmp_path / "h", EPOCH, tmp_path)


def test_endless_trigger_ends(tmp_path: Path) -> None:
    path = database(tmp_path / "a" / "h", 5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TRIGGER t AFTER UPDATE ON trans BEGIN INSERT INTO transactions SELECT NULL, 'x', sum(n) FROM "
            "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c); END"
        )
        connection.commit()
    with pytest.raises(TwinrootError, match="cannot be read"):
        settle_history(path, EPOCH, tmp_path)
