"""What `trident-update-poll` knows from one run to the next: a JSON file.

A file that is missing or damaged is an empty memory: nothing is lost but the knowledge of an image that failed.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, TypeVar

from twinroot.agent.poll import Tried
from twinroot.agent.poll_source import Found
from twinroot.errors import BusyError

log = logging.getLogger(__name__)

_NAME = "memory.json"
_MAX_BYTES = 1 << 20
Record = TypeVar("Record", Found, Tried)


@dataclass(frozen=True)
class Memory:
    """The document that was there last, and what was tried."""

    found: Found | None = None
    tried: Tried = field(default_factory=Tried)


def load(directory: Path) -> Memory:
    """The memory in a directory."""
    try:
        with (directory / _NAME).open("rb") as stream:
            data = json.loads(stream.read(_MAX_BYTES))
        return Memory(_record(Found, data.get("found")), _record(Tried, data.get("tried")) or Tried())
    except FileNotFoundError:
        return Memory()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s cannot be read, and is begun anew: %s", directory / _NAME, error)
        return Memory()


def save(directory: Path, memory: Memory) -> None:
    """Keep the memory, durably; for root alone, as a URL may hold a secret."""
    replace_file(directory / _NAME, json.dumps(asdict(memory), indent=1) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Put a file for its owner alone in the place of another: whole, or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Make the directory, and keep other runs out while the block runs; BusyError when there is one."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BusyError("trident-update-poll is running already", where=str(directory)) from error
    finally:
        os.close(descriptor)


def _record(kind: type[Record], data: Any) -> Record | None:
    if data is None:
        return None
    for known in fields(kind):
        value = data.get(known.name)
        wanted = int if known.name == "attempts" else str
        if not isinstance(value, wanted) and not (value is None and "None" in str(known.type)):
            raise ValueError(f"{known.name} is {value!r}")
    return kind(**{known.name: data[known.name] for known in fields(kind) if known.name in data})
