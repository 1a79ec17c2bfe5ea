"""rpm of the host, on databases that were copied out of an image."""

from __future__ import annotations

from pathlib import Path

from twinroot.tools.run import run


def query_all(database: Path, query_format: str) -> list[str]:
    """The rows of `rpm -qa` for a database directory of any kind that the host's rpm can read."""
    argv: list[str | Path] = ["rpm", "--dbpath", database.resolve(), "--nodigest", "--nosignature"]
    argv += ["-qa", "--qf", query_format]
    return run(argv).stdout.splitlines()
