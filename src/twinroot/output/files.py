"""Output files appear whole or not at all: they are written beside their final name and renamed at the end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.errors import InputError
from twinroot.interrupts import held
from twinroot.output.space import naming_full_disk

# 255 (NAME_MAX), less what `replacing` adds to the name while the file is written.
_LONGEST_NAME = 255 - len("..4194304.partial")


def check_output(path: Path, inputs: Iterable[Path] = ()) -> None:
    """InputError when a file cannot be written there, or is one of the inputs; to be asked before any work starts."""
    if path.exists() and any(each.exists() and path.samefile(each) for each in inputs):
        raise InputError("the output is one of the input files", where=str(path), hint="name another output file")
    if path.is_dir():
        raise InputError("the output path is a directory", where=str(path), hint="name a file")
    if path.exists() and not path.is_file():
        raise InputError("the output path is a device or the like, not a file", where=str(path), hint="name a file")
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise InputError(f"the name of the output file is longer than {_LONGEST_NAME} bytes", where=str(path))
    if not path.parent.is_dir():
        raise InputError(
            f"the output directory {path.parent} does not exist", where=str(path), hint=f"mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"the output directory {path.parent} is not writable for this user", where=str(path))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name to write to; on success it is synced and takes the place of `path`, otherwise it is removed.

    What a run that was killed (SIGKILL, power cut) left beside `path` is removed too.
    """
    _remove_orphans(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with naming_full_disk(path.parent, "output"):
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            with held(too_late=True):
                partial.replace(path)
    finally:
        with held():
            partial.unlink(missing_ok=True)


def _remove_orphans(path: Path) -> None:
    """Remove unfinished files for `path` whose process is no more; their names hold its id."""
    pattern = re.compile(rf"\.{{1,2}}{re.escape(path.name)}\.(\d+)\.partial(\..+\.partial)?")
    for entry in path.parent.iterdir():
        match = pattern.fullmatch(entry.name)
        if match and not Path("/proc", match.group(1)).exists():
            entry.unlink(missing_ok=True)
